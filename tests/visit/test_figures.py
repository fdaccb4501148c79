import random
from collections import defaultdict
from datetime import date, timedelta

from freezegun import freeze_time

from odoo.exceptions import AccessError
from odoo.tests import Form, tagged

from ..common import SALES_ADMIN, TODAY, KeyAccountCommon

MONTH = date(2026, 3, 1)
FEBRUARY = date(2026, 2, 1)
RATIOS = {
    "attainment": ("credited_count", "planned_count"),
    "possible_attainment": ("credited_count", "possible_count"),
    "coverage": ("covered_count", "target_count"),
    "on_time_rate": ("on_time_count", "due_count"),
    "off_plan_rate": ("off_plan_count", "done_count"),
}


class FiguresCommon(KeyAccountCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        freezer = freeze_time(f"{TODAY} 09:00:00")
        freezer.start()
        cls.addClassCleanup(freezer.stop)
        cls.Target = cls.env["key.account.target"]
        cls.Report = cls.env["key.account.visit.figures"]
        cls.weekly = cls._create_line(cls.tier_a, 1)
        cls.fortnightly = cls._create_line(cls.tier_b, 2)

    @classmethod
    def _create_line(cls, tier, count, **values):
        return cls.env["key.account.cadence"].create(
            {
                "company_id": cls.company.id,
                "tier_id": tier.id,
                "track": "visit",
                "interval_count": count,
                "interval_unit": "week",
                **values,
            }
        )

    @classmethod
    def _create_account(cls, name, tier=None, **values):
        partner = cls._create_partner(name, **values)
        cls._set_tier(partner, tier or cls.tier_a)
        return partner

    @classmethod
    def _create_target(cls, partner, number, **values):
        return cls.Target.create(
            {
                "month": MONTH,
                "company_id": cls.company.id,
                "partner_id": partner.id,
                "track": "visit",
                "user_id": cls.rep.id,
                "team_id": cls.team.id,
                "tier_id": cls.tier_a.id,
                "planned_count": number,
                **values,
            }
        )

    @classmethod
    def _visit(cls, partner, day, **values):
        return cls.Visit.create(
            {
                "partner_id": partner.id,
                "user_id": cls.rep.id,
                "state": "done",
                "date_planned": day,
                "date_done": day,
                **values,
            }
        )

    def _get_figures(self, *names, domain=(), groupby=()):
        self.env.flush_all()
        return self.Report._read_group(
            [("company_id", "=", self.company.id), *domain],
            list(groupby),
            [f"{name}:{self.Report._fields[name].aggregator}" for name in names],
        )

    def _sum(self, *names, domain=()):
        return self._get_figures(*names, domain=domain)[0]

    def _freeze(self, today=None):
        return self.Target._freeze(self.company, today)


@tagged("post_install", "-at_install")
class TestTargets(FiguresCommon):
    def test_counts(self):
        """Due on Thursday 5 March; from the month's first day on."""
        account = self._create_account("Weekly")
        fortnight = self._create_account("Fortnightly", self.tier_b)
        self._visit(account, "2026-02-26")
        self._visit(fortnight, "2026-02-26")
        target = self._freeze(MONTH)
        self.assertEqual(
            {row.partner_id: row.planned_count for row in target},
            # 5, 12, 19, 26; 12, 26
            {account: 4, fortnight: 2},
        )
        row = target.filtered(lambda row: row.partner_id == account)
        self.assertEqual(row.month, MONTH)
        self.assertEqual(row.user_id, self.rep)
        self.assertEqual(row.account_user_id, self.rep)
        self.assertEqual(row.team_id, self.team)
        self.assertEqual(row.tier_id, self.tier_a)
        self.assertEqual(row.track, "visit")

    def test_overdue_begins_with_the_month(self):
        account = self._create_account("Overdue")
        self._visit(account, "2026-01-07")
        # 1, 8, 15, 22, 29 March
        self.assertEqual(self._freeze(MONTH).planned_count, 5)

    def test_never_visited(self):
        # what is asked for is noted from the first day on
        with freeze_time(f"{MONTH} 09:00:00"):
            account = self._create_account("New", self.tier_b)
        target = self._freeze(MONTH)
        first = MONTH + timedelta(days=(account.id - MONTH.toordinal()) % 14)
        expected = len(
            [n for n in (0, 14, 28) if first + timedelta(days=n) <= date(2026, 3, 31)]
        )
        self.assertEqual(target.planned_count, expected)

    def test_switched_on_in_the_middle_of_a_month(self):
        account = self._create_account("Overdue")
        self._visit(account, "2026-01-07")
        # 18 and 25 March
        self.assertEqual(self._freeze().planned_count, 2)

    def test_a_late_run_counts_the_whole_month(self):
        """The job didn't run on the first: the month before has targets."""
        account = self._create_account("Overdue")
        self._visit(account, "2026-01-07")
        self._freeze(FEBRUARY)
        self.assertEqual(self._freeze().planned_count, 5)

    def test_nothing_due_no_row(self):
        account = self._create_account("Later", self.tier_b)
        account.with_company(self.company).visit_interval_days = 60
        self._visit(account, "2026-02-27")
        self.assertFalse(self._freeze(MONTH))

    def test_own_interval_and_day_to_come_back(self):
        account = self._create_account("Own", self.tier_b)
        account.with_company(self.company).visit_interval_days = 10
        self._visit(account, "2026-02-20")
        cancelled = self.Visit.create(
            {"partner_id": account.id, "user_id": self.rep.id, "track": "visit"}
        )
        cancelled.action_cancel(date_resume="2026-03-19")
        # 19 and 29 March
        self.assertEqual(self._freeze(MONTH).planned_count, 2)

    def test_planned_visits_count(self):
        """What is planned already is no less asked for."""
        account = self._create_account("Planned")
        self._visit(account, "2026-03-16")
        self.Visit._generate()
        self.assertTrue(self._get_planned(account))
        # 23 and 30 March
        self.assertEqual(self._freeze().planned_count, 2)

    def test_first_visit_is_planned_and_late(self):
        """Who was to be visited for the first time in February, and wasn't, is asked
        for in March: the first due date isn't spread anew over the interval."""
        for due in ("2026-02-20", "2026-04-20"):
            # another one, as the first day stays
            account = self._create_account("Late")
            account.with_company(self.company).visit_interval_days = 60
            # nothing was asked for but what follows
            self.env["key.account.due"].search(
                [("partner_id", "=", account.id)]
            ).unlink()
            with self.subTest(due=due):
                self.Visit.create(
                    {
                        "partner_id": account.id,
                        "user_id": self.rep.id,
                        "date_due": due,
                        "date_planned": "2026-03-04",
                    }
                )
                target = self._freeze(MONTH)
                self.assertEqual(bool(target), due < "2026-04")
                self.assertEqual(target.planned_count, int(due < "2026-04"))
                target.unlink()
                account.unlink()

    def test_lost_accounts(self):
        account = self._create_account("Lost")
        loss = self.env["key.account.loss"].create(
            {
                "partner_id": account.id,
                "reason_id": self.env.ref("crm_key_account.churn_reason_price").id,
                "date": "2026-02-10",
            }
        )
        with self.env.cr.savepoint() as savepoint:
            self.assertFalse(self._freeze(MONTH))
            savepoint.rollback()
        loss.date_win_back = "2026-03-20"
        self.assertEqual(self._freeze(MONTH).planned_count, 1)

    def test_lead_without_customer(self):
        lead = self.env["crm.lead"].create(
            {
                "name": "Deal",
                "company_id": self.company.id,
                "user_id": self.rep2.id,
                "team_id": self.team.id,
            }
        )
        lead.account_tier_id = self.tier_a
        target = self._freeze(MONTH)
        self.assertEqual(target.lead_id, lead)
        self.assertFalse(target.partner_id)
        self.assertEqual(target.user_id, self.rep2)

    def test_nobody_home(self):
        self._create_account("Nobody's", user_id=False)
        target = self._freeze(MONTH)
        self.assertFalse(target.user_id)
        self.assertFalse(target.account_user_id)

    def test_once_a_month_and_never_changed(self):
        account = self._create_account("Weekly")
        self._visit(account, "2026-01-07")
        target = self._freeze(MONTH)
        values = target.read()[0]
        later = self._create_account("Later")
        self._set_tier(account, self.tier_b)
        self.weekly.interval_count = 4
        account.user_id = self.rep2
        self._visit(account, "2026-03-17")
        self.env.flush_all()
        self.env.invalidate_all()
        self.assertFalse(self._freeze())
        self.assertFalse(self._freeze(date(2026, 3, 31)))
        after = target.read()[0]
        changed = {name for name in after if after[name] != values[name]}
        # the copy for the record rules, and who wrote it
        self.assertLessEqual(
            changed, {"account_user_id", "write_date", "write_uid", "display_name"}
        )
        april = self._freeze(date(2026, 4, 1))
        self.assertEqual(april.partner_id, account | later)
        row = april.filtered(lambda row: row.partner_id == account)
        self.assertEqual((row.tier_id, row.user_id), (self.tier_b, self.rep2))

    def test_month_of_the_company(self):
        """Auckland is in April while Greenwich is in March."""
        self._visit(self._create_account("Overdue"), "2026-01-07")
        self.company.resource_calendar_id.tz = "Pacific/Auckland"
        with freeze_time("2026-03-31 10:59:00"):
            self.assertEqual(self._freeze().month, MONTH)
            self.assertFalse(self._freeze())
        with freeze_time("2026-03-31 11:01:00"):
            self.assertEqual(self._freeze().month, date(2026, 4, 1))

    def test_cron_freezes_before_it_plans(self):
        account = self._create_account("Weekly")
        self._visit(account, "2026-03-11")
        self.Visit._generate()
        self.assertFalse(self.Target.search([("partner_id", "=", account.id)]))
        with self.enter_registry_test_mode():
            self.env.ref("crm_key_account.ir_cron_planning").method_direct_trigger()
        target = self.Target.search([("partner_id", "=", account.id)])
        self.assertEqual(target.planned_count, 2)

    def test_companies_are_apart(self):
        other = self._create_company("Other Company")
        self._create_account("Weekly")
        self.assertTrue(self._freeze(MONTH))
        self.assertFalse(self.Target._freeze(other, MONTH))

    def test_fixed_number_of_queries(self):
        counts = []
        for number, month in ((1, MONTH), (50, date(2026, 4, 1))):
            for n in range(number):
                self._create_account(f"Weekly {number} {n}")
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            made = self._freeze(month)
            self.env.flush_all()
            counts.append(self.cr.sql_log_count - before)
            self.assertGreaterEqual(len(made), number)
        self.assertLessEqual(counts[1], counts[0] + 2, counts)

    def test_merged_customers(self):
        kept, gone = self._create_account("Kept"), self._create_account("Gone")
        self._create_target(kept, 3)
        self._create_target(gone, 2)
        self._create_target(gone, 4, month=FEBRUARY)
        wizard = self.env["base.partner.merge.automatic.wizard"].create({})
        wizard._merge((kept | gone).ids, kept)
        targets = self.Target.search([("partner_id", "=", kept.id)])
        self.assertEqual(
            {row.month: row.planned_count for row in targets}, {MONTH: 5, FEBRUARY: 4}
        )

    def test_customer_that_becomes_a_contact(self):
        company, contact = self._create_account("Company"), self._create_account("Ann")
        self._create_target(contact, 2)
        contact.parent_id = company
        contact.is_company = False
        self.assertEqual(
            self.Target.search([("partner_id", "=", company.id)]).planned_count, 2
        )
        self.assertFalse(self.Target.search([("partner_id", "=", contact.id)]))

    def test_merged_leads(self):
        leads = self.env["crm.lead"].create(
            [
                {"name": f"Deal {n}", "company_id": self.company.id, "type": "lead"}
                for n in range(2)
            ]
        )
        for lead in leads:
            self._create_target(self.env["res.partner"], 2, lead_id=lead.id)
        head = leads.merge_opportunity()
        self.assertEqual(
            self.Target.search([("lead_id", "in", leads.ids)]).mapped(
                lambda row: (row.lead_id, row.planned_count)
            ),
            [(head, 4)],
        )

    def test_tier_with_targets_stays(self):
        tier = self.tier_b
        self._create_target(self._create_account("Weekly"), 1, tier_id=tier.id)
        self.assertEqual(tier._filtered_in_use() & tier, tier)


@tagged("post_install", "-at_install")
class TestReport(FiguresCommon):
    def test_too_many_at_one_hide_nobody(self):
        busy, unseen = self._create_account("Busy"), self._create_account("Unseen")
        self._create_target(busy, 2)
        self._create_target(unseen, 2)
        for day in (2, 3, 4, 5):
            self._visit(busy, date(2026, 3, day))
        self.assertEqual(
            self._sum("planned_count", "done_count", "credited_count", "attainment"),
            (4, 4, 2, 50.0),
        )
        self.assertEqual(
            self._sum("target_count", "covered_count", "coverage"), (2, 1, 50.0)
        )
        self.assertEqual(self._sum("off_plan_count", "off_plan_rate"), (2, 50.0))

    def test_what_fitted(self):
        """Who made every visit that found a day reads 100 %: of six that the cadence
        asked for, two found none."""
        self.company.key_account_daily_capacity = 1
        accounts = [self._create_account(f"Account {number}") for number in range(6)]
        for number, account in enumerate(accounts):
            self._create_target(account, 1)
            if number < 4:
                self._plan(account, date(2026, 3, 24 + number))
        self.assertEqual(
            self._sum("planned_count", "possible_count", "possible_attainment"),
            (6, 4, 0.0),
        )
        for number, visit in enumerate(self.planned):
            with freeze_time(f"2026-03-{24 + number} 09:00:00"):
                visit.action_done()
        self.assertEqual(
            self._sum("credited_count", "attainment", "possible_attainment"),
            (4, 100 * 4 / 6, 100.0),
        )

    def test_what_fitted_at_its_edges(self):
        """Missed and cancelled by a person: it fitted. Withdrawn by planning, in
        another month, on another track, more than was asked for: it doesn't count."""
        cancelled = {"state": "cancelled", "date_cancelled": "2026-03-10"}
        for name, day, values, expected in (
            ("planned", date(2026, 3, 31), {}, 1),
            ("missed", date(2026, 3, 1), {"state": "missed"}, 1),
            (
                "cancelled by a person",
                date(2026, 3, 10),
                {**cancelled, "date_resume": "2026-04-01"},
                1,
            ),
            ("withdrawn", date(2026, 3, 10), cancelled, 0),
            ("in April", date(2026, 4, 1), {}, 0),
            ("in February", date(2026, 2, 28), {}, 0),
            ("call", date(2026, 3, 10), {"track": "contact"}, 0),
        ):
            with self.subTest(name):
                account = self._create_account(name)
                self._create_target(account, 1)
                visit = self._plan(account, day, **values)
                self.assertEqual(
                    self._get_possible(account), (expected, expected and 0.0), name
                )
                visit.sudo().unlink()
        account = self._create_account("Twice")
        target = self._create_target(account, 1)
        self._plan(
            account,
            date(2026, 3, 10),
            state="missed",
            date_due="2026-03-10",
            date_latest="2026-03-11",
        )
        self._visit(account, "2026-03-12")
        self.assertEqual(self._get_possible(account), (1, 100.0))
        target.sudo().planned_count = 3
        self.assertEqual(self._get_possible(account), (2, 50.0))

    def _get_possible(self, account):
        (values,) = self._get_figures(
            "possible_count",
            "possible_attainment",
            groupby=["partner_id"],
            domain=[("partner_id", "=", account.id)],
        )
        return values[1], values[2] or 0

    def _plan(self, account, day, **values):
        visit = self.Visit.sudo().create(
            {
                "partner_id": account.id,
                "user_id": self.rep.id,
                "date_planned": day,
                **values,
            }
        )
        self.planned = getattr(self, "planned", []) + [visit]
        return visit

    def test_colleague(self):
        """A colleague's visit fulfils the account's plan and counts for the
        colleague; the target stays where it was."""
        account = self._create_account("Shared")
        self._create_target(account, 2)
        self._visit(account, "2026-03-03", user_id=self.rep2.id)
        self._visit(account, "2026-03-04")
        self._visit(account, "2026-03-05")
        figures = {
            user: tuple(values)
            for user, *values in self._get_figures(
                "planned_count",
                "credited_count",
                "off_plan_count",
                "attainment",
                groupby=["user_id"],
            )
        }
        self.assertEqual(figures[self.rep], (2, 1, 1, 50.0))
        self.assertEqual(figures[self.rep2][:3], (0, 1, 0))
        self.assertFalse(figures[self.rep2][3])
        self.assertEqual(self._sum("attainment", "coverage"), (100.0, 100.0))

    def test_tracks_and_months_are_apart(self):
        account = self._create_account("Account")
        self._create_target(account, 1)
        self._create_target(account, 1, track="executive")
        self._create_target(account, 1, month=FEBRUARY)
        self._visit(account, "2026-03-03", track="contact")
        self._visit(account, "2026-02-28")
        self._visit(account, "2026-01-31")
        rows = self._get_figures(
            "planned_count",
            "done_count",
            "credited_count",
            "covered_count",
            groupby=["month:month", "track"],
        )
        self.assertEqual(
            {(month, track): tuple(values) for month, track, *values in rows},
            {
                (MONTH, "visit"): (1, 0, 0, 0),
                (MONTH, "executive"): (1, 0, 0, 0),
                (MONTH, "contact"): (0, 1, 0, 0),
                (FEBRUARY, "visit"): (1, 1, 1, 1),
                (date(2026, 1, 1), "visit"): (0, 1, 0, 0),
            },
        )

    def test_on_time(self):
        """30 % of a fortnight are 4 days."""
        account = self._create_account("Account", self.tier_b)
        for number, (day, expected) in enumerate(
            ((5, 0), (6, 1), (10, 2), (14, 3), (15, 3)), start=1
        ):
            self._visit(
                account,
                date(2026, 3, day),
                date_due="2026-03-10",
                date_latest="2026-03-14",
            )
            self.assertEqual(
                self._sum("due_count", "on_time_count"), (number, expected), day
            )
        self.assertEqual(self._sum("on_time_rate"), (60.0,))
        self._visit(account, "2026-03-12")
        self.assertEqual(self._sum("on_time_rate", "done_count"), (60.0, 6))

    def test_new_tier_changes_nothing(self):
        account = self._create_account("Account")
        self._create_target(account, 3, month=FEBRUARY)
        self._create_target(account, 2)
        self._visit(account, "2026-02-10")
        self._visit(account, "2026-03-10")
        names = ("planned_count", "credited_count", "attainment", "coverage")
        groupby = ["month:month", "tier_id", "user_id", "team_id"]
        before = self._get_figures(*names, groupby=groupby)
        self.assertEqual({row[1] for row in before}, {self.tier_a})
        self._set_tier(account, self.tier_c)
        account.user_id = self.rep2
        self.weekly.interval_count = 3
        self._freeze()
        self.assertEqual(self._get_figures(*names, groupby=groupby), before)
        # visits that are made now belong to the tier of the target, too
        self._visit(account, "2026-03-17")
        rows = self._get_figures("credited_count", groupby=["tier_id"])
        self.assertEqual(rows, [(self.tier_a, 3)])

    def test_visit_without_target_has_its_own_tier(self):
        account = self._create_account("Account", self.tier_b)
        self._visit(account, "2026-03-10")
        self.assertEqual(
            self._get_figures("off_plan_count", groupby=["tier_id", "team_id"]),
            [(self.tier_b, self.team, 1)],
        )

    def test_late_missed_cancelled_and_backlog(self):
        accounts = [self._create_account(f"Account {n}") for n in range(5)]
        for account, day in zip(
            accounts[:4],
            ("2026-03-17", "2026-03-18", "2026-03-20", "2026-03-21"),
            strict=True,
        ):
            self.Visit.create(
                {
                    "partner_id": account.id,
                    "user_id": self.rep.id,
                    "date_planned": day,
                }
            )
        self._get_planned(accounts[2]).action_cancel()
        # withdrawn by the system
        self._get_planned(accounts[3])._close("The cadence changed")
        missed = self._visit(accounts[4], "2026-03-04")
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE key_account_visit SET state = 'missed', date_done = NULL"
            " WHERE id = %s",
            missed.ids,
        )
        self.env.invalidate_all()
        line = self.env["key.account.cadence"].search([], limit=1)
        self.env["key.account.due"].create(
            {
                "cadence_id": line.id,
                "days": 30,
                "date_since": "2026-03-05",
                "partner_id": accounts[0].id,
                "company_id": self.company.id,
                "track": "executive",
                "date_due": "2026-03-05",
                "reason": "capacity",
                "user_id": self.rep.id,
            }
        )
        waiting = self.env["key.account.due"].search(
            [("company_id", "=", self.company.id), ("is_waiting", "=", True)]
        )
        # also the one whose visit was withdrawn
        self.assertLess(accounts[0] | accounts[3], waiting.partner_id)
        self.assertEqual(
            self._sum(
                "late_count",
                "cancelled_count",
                "missed_count",
                "backlog_count",
                "done_count",
                "off_plan_count",
            ),
            (1, 1, 1, len(waiting), 0, 0),
        )
        self.assertEqual(
            self._get_figures("late_count", groupby=["month:month", "user_id"]),
            [(MONTH, self.rep, 1)],
        )

    def test_lead_that_got_a_customer(self):
        lead = self.env["crm.lead"].create(
            {"name": "Deal", "company_id": self.company.id, "user_id": self.rep.id}
        )
        self._create_target(self.env["res.partner"], 2, lead_id=lead.id)
        visit = self.Visit.create(
            {
                "lead_id": lead.id,
                "user_id": self.rep.id,
                "company_id": self.company.id,
                "state": "done",
                "date_done": "2026-03-04",
            }
        )
        self.assertEqual(self._sum("credited_count", "covered_count"), (1, 1))
        account = self._create_account("Customer")
        lead.partner_id = account
        self.assertEqual(visit.partner_id, account)
        self.assertEqual(self._sum("credited_count", "covered_count"), (1, 1))
        # the customer's own target goes first
        self._create_target(account, 1)
        self.assertEqual(
            self._get_figures("covered_count", groupby=["partner_id"])[0], (account, 1)
        )
        self.assertEqual(self._sum("credited_count", "covered_count"), (1, 1))

    def test_no_figures_no_percentages(self):
        account = self._create_account("Account")
        self._create_target(account, 1)
        self.assertEqual(
            self._sum("attainment", "coverage", "off_plan_rate", "on_time_rate"),
            (0.0, 0.0, False, False),
        )

    def test_through_the_screens(self):
        """List groups and pivot divide sums, too."""
        busy, unseen = self._create_account("Busy"), self._create_account("Unseen")
        self._create_target(busy, 1)
        self._create_target(unseen, 4)
        self._visit(busy, "2026-03-03")
        self.env.flush_all()
        report = self.Report.with_user(self.leader)
        domain = [("company_id", "=", self.company.id)]
        groups = report.web_read_group(domain, ["user_id"], ["attainment:avg"])
        self.assertEqual(groups["groups"][0]["attainment:avg"], 20.0)
        total, rows = report.formatted_read_grouping_sets(
            domain, [[], ["partner_id"]], ["attainment:avg", "coverage:avg"]
        )
        self.assertEqual(total[0]["attainment:avg"], 20.0)
        self.assertEqual(total[0]["coverage:avg"], 50.0)
        self.assertEqual([row["attainment:avg"] for row in rows], [100.0, 0.0])

    def test_open(self):
        account = self._create_account("Account")
        self._create_target(account, 1)
        visit = self._visit(account, "2026-03-03")
        self.env.flush_all()
        rows = self.Report.search([("partner_id", "=", account.id)])
        self.assertLessEqual({"target", "done"}, set(rows.mapped("kind")))
        for row in rows:
            action = row.with_user(self.rep).action_open()
            expected = visit if row.kind == "done" else account
            self.assertEqual(action["res_model"], expected._name)
            self.assertEqual(action["res_id"], expected.id)

    def test_team_of_a_logged_visit(self):
        visit = self._visit(self._create_account("Account"), "2026-03-03")
        self.assertEqual(visit.team_id, self.team)

    def test_random_recount(self):
        """The same figures by a loop over records, for several groupings."""
        rng = random.Random(19)
        accounts = [
            self._create_account(f"Account {n}", rng.choice(self.policy.tier_ids))
            for n in range(12)
        ]
        reps = [self.rep, self.rep2, self.leader]
        for account in accounts:
            for month in (date(2026, 1, 1), FEBRUARY, MONTH):
                for track in ("visit", "executive"):
                    if rng.random() < 0.6:
                        self._create_target(
                            account,
                            rng.randint(1, 4),
                            month=month,
                            track=track,
                            user_id=rng.choice(reps).id,
                            tier_id=rng.choice(self.policy.tier_ids).id,
                        )
        for _ in range(150):
            due = date(2025, 12, 20) + timedelta(days=rng.randrange(88))
            tolerance = rng.choice([2, 4, 9])
            done = min(max(due + timedelta(days=rng.randint(-6, 6)), due.min), TODAY)
            dated = rng.random() < 0.8
            self._visit(
                rng.choice(accounts),
                done,
                user_id=rng.choice(reps).id,
                track=rng.choice(["visit", "executive", "contact"]),
                date_due=dated and due,
                date_latest=dated and due + timedelta(days=tolerance),
            )
        # tiers of today say nothing of the past
        for account in accounts:
            self._set_tier(account, rng.choice(self.policy.tier_ids))
        facts = self._recount()
        names = list(dict.fromkeys(name for pair in RATIOS.values() for name in pair))
        for groupby in (
            ["user_id"],
            ["month:month"],
            ["tier_id"],
            ["track"],
            ["partner_id"],
            ["month:month", "user_id"],
            [],
        ):
            expected = defaultdict(lambda: defaultdict(int))
            for keys, name, number in facts:
                key = tuple(keys[field.partition(":")[0]] for field in groupby)
                expected[key][name] += number
            rows = self._get_figures(*names, *RATIOS, groupby=groupby)
            self.assertEqual(len(rows), len(expected), groupby)
            for row in rows:
                key = row[: len(groupby)]
                values = dict(zip([*names, *RATIOS], row[len(groupby) :], strict=True))
                sums = expected[key]
                with self.subTest(groupby=groupby, key=key):
                    self.assertEqual(
                        {name: values[name] for name in names},
                        {name: sums[name] for name in names},
                    )
                    for ratio, (part, whole) in RATIOS.items():
                        if sums[whole]:
                            self.assertAlmostEqual(
                                values[ratio], 100 * sums[part] / sums[whole]
                            )
                        else:
                            self.assertIs(values[ratio], False)
        # attainment as the literature defines it
        total = dict(zip(names, self._sum(*names), strict=True))
        done = defaultdict(int)
        for visit in self._get_done():
            key = (visit.partner_id, visit.track, visit.date_done.replace(day=1))
            done[key] += 1
        self.assertEqual(
            total["credited_count"],
            sum(
                min(done[row.partner_id, row.track, row.month], row.planned_count)
                for row in self.Target.search([("company_id", "=", self.company.id)])
            ),
        )

    def _get_done(self):
        return self.Visit.search(
            [("company_id", "=", self.company.id), ("state", "=", "done")],
            order="date_done, id",
        )

    def _recount(self):
        """Return (group keys, measure, number), by a loop over records."""
        facts = []
        targets = {
            (row.partner_id, row.track, row.month): row
            for row in self.Target.search([("company_id", "=", self.company.id)])
        }
        seen = defaultdict(int)
        for visit in self._get_done():
            month = visit.date_done.replace(day=1)
            key = (visit.partner_id, visit.track, month)
            target = targets.get(key)
            seen[key] += 1
            keys = {
                "user_id": visit.user_id,
                "month": month,
                "tier_id": target.tier_id if target else visit.tier_id,
                "track": visit.track,
                "partner_id": visit.partner_id,
            }
            is_credited = bool(target) and seen[key] <= target.planned_count
            facts.append((keys, "done_count", 1))
            facts.append((keys, "credited_count", int(is_credited)))
            facts.append((keys, "off_plan_count", int(not is_credited)))
            if visit.date_due:
                tolerance = visit.date_latest - visit.date_due
                is_on_time = abs(visit.date_done - visit.date_due) <= tolerance
                facts.append((keys, "due_count", 1))
                facts.append((keys, "on_time_count", int(is_on_time)))
        found = defaultdict(int)
        for visit in self.Visit.search([("company_id", "=", self.company.id)]):
            day = visit.date_done or visit.date_planned
            if visit.state != "cancelled" or visit.date_resume:
                found[visit.partner_id, visit.track, day.replace(day=1)] += 1
        for key, target in targets.items():
            keys = {
                "user_id": target.user_id,
                "month": target.month,
                "tier_id": target.tier_id,
                "track": target.track,
                "partner_id": target.partner_id,
            }
            facts.append((keys, "target_count", 1))
            facts.append((keys, "planned_count", target.planned_count))
            facts.append(
                (keys, "possible_count", min(found[key], target.planned_count))
            )
            facts.append((keys, "covered_count", int(seen[key] > 0)))
        return facts


@tagged("post_install", "-at_install")
class TestFiguresRights(FiguresCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.own = cls._create_account("Own")
        cls.others = cls._create_account("A colleague's", user_id=cls.rep2.id)
        cls.nobodys = cls._create_account("Nobody's", user_id=False)
        cls.accounts = cls.own | cls.others | cls.nobodys
        for account in cls.accounts:
            cls._create_target(account, 2, user_id=account.user_id.id)
            cls._visit(account, "2026-03-03", user_id=account.user_id.id)
        cls.env.flush_all()

    def _get_accounts(self, model, user):
        records = self.env[model].with_user(user)
        records = records.with_context(allowed_company_ids=user.company_ids.ids)
        return records.search([("partner_id", "in", self.accounts.ids)]).partner_id

    def test_documents(self):
        other = self._create_company("Other Company")
        foreigner = self._create_user("ka_foreigner", SALES_ADMIN, company=other)
        for model in ("key.account.target", "key.account.visit.figures"):
            for user, expected in (
                (self.rep, self.own | self.nobodys),
                (self.leader, self.accounts),
                (self.manager, self.accounts),
                (foreigner, self.env["res.partner"]),
            ):
                with self.subTest(model=model, user=user.login):
                    self.assertEqual(self._get_accounts(model, user).sudo(), expected)

    def test_who_made_it_sees_it(self):
        self._visit(self.others, "2026-03-05")
        self.env.flush_all()
        rows = self.Report.with_user(self.rep).search(
            [("partner_id", "=", self.others.id)]
        )
        self.assertEqual(rows.mapped("date"), [date(2026, 3, 5)])

    def test_nobody_outside_sales(self):
        for user in (
            self._create_user("ka_internal", "base.group_user"),
            self._create_user("ka_portal", "base.group_portal"),
        ):
            for model in ("key.account.target", "key.account.visit.figures"):
                self.assertFalse(self.env[model].with_user(user).has_access("read"))
                with self.assertRaises(AccessError):
                    self.env[model].with_user(user).search_read([], ["id"])

    def test_nobody_writes(self):
        for user in (self.rep, self.leader, self.manager):
            for model in ("key.account.target", "key.account.visit.figures"):
                for operation in ("write", "create", "unlink"):
                    self.assertFalse(
                        self.env[model].with_user(user).has_access(operation)
                    )


@tagged("post_install", "-at_install")
class TestDigest(FiguresCommon):
    def _get_kpis(self, user):
        digest = self.env["digest.digest"].create(
            {"name": "Digest", "kpi_key_account_visits": True}
        )
        kpis = digest._compute_kpis(self.company, user)
        return [kpi for kpi in kpis if kpi["kpi_name"] == "kpi_key_account_visits"]

    def test_row(self):
        account = self._create_account("Own")
        others = self._create_account("A colleague's", user_id=self.rep2.id)
        self._visit(account, TODAY - timedelta(days=1))
        self._visit(account, TODAY - timedelta(days=3))
        self._visit(others, TODAY - timedelta(days=5), user_id=self.rep2.id)
        self._visit(account, TODAY - timedelta(days=20))
        other = self._create_company("Other Company")
        self.env.user.company_ids |= other
        self.Visit.with_context(allowed_company_ids=other.ids).create(
            {
                "partner_id": account.id,
                "company_id": other.id,
                "user_id": self.env.uid,
                "state": "done",
                "date_done": TODAY - timedelta(days=1),
            }
        )
        for user, expected in ((self.leader, [1, 3, 4]), (self.rep, [1, 2, 3])):
            (kpi,) = self._get_kpis(user)
            self.assertEqual(
                [kpi[f"kpi_col{n}"]["value"] for n in (1, 2, 3)], expected, user.login
            )
        action, _, menu = kpi["kpi_action"].partition("?menu_id=")
        self.assertEqual(self.env.ref(action).res_model, "key.account.visit.figures")
        self.assertTrue(self.env["ir.ui.menu"].browse(int(menu)).exists())

    def test_outside_sales_the_row_is_left_out(self):
        internal = self._create_user("ka_internal", "base.group_user")
        self.assertFalse(self._get_kpis(internal))

    def test_form_and_default(self):
        with Form(self.env["digest.digest"]) as form:
            form.name = "Digest"
            self.assertFalse(form.kpi_key_account_visits)
            form.kpi_key_account_visits = True
        self.assertTrue(form.record.kpi_key_account_visits)
        default = self.env.ref("digest.digest_digest_default")
        self.assertTrue(default.kpi_key_account_visits)
