from datetime import date, datetime, time, timedelta
from unittest.mock import patch

from freezegun import freeze_time

from odoo import Command
from odoo.exceptions import UserError, ValidationError
from odoo.tests import Form, tagged

from ..common import SALES, SALES_ADMIN, SALES_ALL, TODAY, KeyAccountCommon

NOW = "2026-03-18 09:00:00"


def day(number):
    return TODAY + timedelta(days=number)


class PlanningCommon(KeyAccountCommon):
    """One line for key accounts, weekly, and no others in this company."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.startClassPatcher(freeze_time(NOW))
        cls.company.key_account_daily_capacity = 2
        cls.Due = cls.env["key.account.due"]
        cls.line = cls.env["key.account.cadence"].create(
            {
                "company_id": cls.company.id,
                "tier_id": cls.tier_a.id,
                "track": "visit",
                "interval_count": 1,
                "interval_unit": "week",
                "sequence": 1,
            }
        )

    @classmethod
    def _create_accounts(cls, number, tier=None, **values):
        """Return key accounts of the rep."""
        partners = cls.env["res.partner"].create(
            [
                {
                    "name": f"Account {index}",
                    "is_company": True,
                    "user_id": cls.rep.id,
                    **values,
                }
                for index in range(number)
            ]
        )
        cls._set_tier(partners, tier or cls.tier_a)
        cls.Visit.search(
            [("partner_id", "in", partners.ids), ("state", "=", "planned")]
        ).sudo().unlink()
        return partners

    @classmethod
    def _visit(cls, partner, days_ago, **values):
        """Log a visit that was made so many days ago, and nothing planned since."""
        visit = cls.Visit.create(
            {
                "partner_id": partner.id,
                "company_id": cls.company.id,
                "user_id": cls.rep.id,
                "state": "done",
                "date_done": day(-days_ago),
                **values,
            }
        )
        return visit

    def _get_backlog(self, partners):
        """Return what is due and has no day."""
        return self.Due.search(
            [("partner_id", "in", partners.ids), ("is_waiting", "=", True)],
            order="overdue_ratio desc, id",
        )


@tagged("post_install", "-at_install")
class TestCapacity(PlanningCommon):
    def _assert_loads(self, partners, capacity):
        loads = {}
        for partner in partners:
            for visit in self._get_planned(partner):
                loads[visit.date_planned] = loads.get(visit.date_planned, 0) + 1
        self.assertLessEqual(max(loads.values()), capacity)
        return loads

    def test_largest_overdue_ratio_first_and_the_rest_in_the_backlog(self):
        partners = self._create_accounts(30)
        for number, partner in enumerate(partners, start=1):
            self._visit(partner, 10 + number)
        self.Visit._generate(partners, self.company)
        loads = self._assert_loads(partners, 2)
        # eleven working days from Wednesday to the Wednesday in two weeks
        self.assertEqual(sum(loads.values()), 22)
        backlog = self._get_backlog(partners)
        self.assertEqual(backlog.partner_id, partners[:8])
        self.assertEqual(set(backlog.mapped("reason")), {"capacity"})
        row = backlog.filtered(lambda row: row.partner_id == partners[0])
        self.assertEqual(row.date_due, day(-4))
        self.assertAlmostEqual(row.overdue_ratio, 11 / 7, 2)
        self.assertEqual(row.user_id, self.rep)
        self.assertEqual(row.cadence_id, self.line)
        self.assertEqual(self._get_planned(partners[-1]).date_planned, TODAY)
        # a second run changes neither
        ids = backlog.ids
        self.assertFalse(self.Visit._generate(partners, self.company))
        self.assertEqual(self._get_backlog(partners).ids, ids)

    def test_one_more_moves_nobody(self):
        partners = self._create_accounts(22)
        for partner in partners:
            self._visit(partner, 10)
        self.Visit._generate(partners, self.company)
        dates = [self._get_planned(partner).date_planned for partner in partners]
        urgent = self._create_accounts(1)
        self._visit(urgent, 300)
        self.Visit._generate(company=self.company)
        self.assertEqual(
            [self._get_planned(partner).date_planned for partner in partners], dates
        )
        self.assertEqual(self._get_backlog(urgent).reason, "capacity")

    def test_a_plan_or_the_backlog_never_both(self):
        partners = self._create_accounts(25)
        for partner in partners:
            self._visit(partner, 10)
        self.Visit._generate(partners, self.company)
        row = self._get_backlog(partners)[0]
        partner = row.partner_id
        self.Visit.create(
            {
                "partner_id": partner.id,
                "company_id": self.company.id,
                "user_id": self.rep.id,
                "date_planned": day(3),
            }
        )
        self.assertEqual(row.visit_id, self._get_planned(partner))
        self.assertFalse(row.is_waiting or row.reason)
        self.assertNotIn(row, self._get_backlog(partners))

    def test_capacity_of_the_member(self):
        member = self.team.crm_team_member_ids.filtered(
            lambda member: member.user_id == self.rep
        )
        member.key_account_daily_capacity = 1
        partners = self._create_accounts(4)
        for partner in partners:
            self._visit(partner, 10)
        self.Visit._generate(partners, self.company)
        self._assert_loads(partners, 1)

    def test_meetings_and_half_days_leave_less_time(self):
        # four of eight hours
        self.env["calendar.event"].create(
            {
                "name": "Fair",
                "start": datetime(2026, 3, 18, 8),
                "stop": datetime(2026, 3, 18, 12),
                "user_id": self.rep.id,
                "partner_ids": [Command.set(self.rep.partner_id.ids)],
            }
        )
        partners = self._create_accounts(3)
        for partner in partners:
            self._visit(partner, 10)
        self.Visit._generate(partners, self.company)
        loads = self._assert_loads(partners, 2)
        self.assertEqual(loads, {TODAY: 1, day(1): 2})

    def test_calls_take_a_quarter(self):
        self.line.track = "contact"
        partners = self._create_accounts(9)
        for partner in partners:
            self._visit(partner, 10, track="contact")
        self.Visit._generate(partners, self.company)
        planned = [self._get_planned(partner, "contact") for partner in partners]
        dates = sorted(visit.date_planned for visit in planned)
        self.assertEqual(dates, [TODAY] * 8 + [day(1)])

    def test_visits_in_another_company_take_time_too(self):
        other = self._create_company("Another")
        self.rep.company_ids += other
        partners = self._create_accounts(3)
        for partner in partners[:2]:
            self.Visit.with_company(other).create(
                {
                    "partner_id": partner.id,
                    "company_id": other.id,
                    "user_id": self.rep.id,
                    "date_planned": TODAY,
                }
            )
        self._visit(partners[2], 10)
        self.Visit._generate(partners, self.company)
        self.assertEqual(self._get_planned(partners[2]).date_planned, day(1))

    def test_done_plans_the_next_one_on_a_day_with_room(self):
        partners = self._create_accounts(3)
        for partner in partners[:2]:
            self.Visit.create(
                {
                    "partner_id": partner.id,
                    "company_id": self.company.id,
                    "user_id": self.rep.id,
                    "date_planned": day(7),
                }
            )
        visit = self.Visit.create(
            {
                "partner_id": partners[2].id,
                "company_id": self.company.id,
                "user_id": self.rep.id,
                "date_planned": TODAY,
            }
        )
        visit.action_done()
        # the day before is nearer than the day after: both are free
        self.assertEqual(self._get_planned(partners[2]).date_planned, day(6))

    def test_who_waits_in_the_backlog_goes_before_a_new_one(self):
        partners = self._create_accounts(30)
        for partner in partners:
            self._visit(partner, 20)
        self.Visit._generate(partners, self.company)
        visit = self._get_planned(self._get_planned_first(partners))
        visit.action_done()
        self.assertFalse(self._get_planned(visit.partner_id))
        row = self._get_backlog(visit.partner_id)
        self.assertEqual((row.reason, row.date_due), ("capacity", day(7)))

    def _get_planned_first(self, partners):
        return next(
            partner
            for partner in partners
            if self._get_planned(partner).date_planned == TODAY
        )

    def test_what_was_done_today_took_its_time(self):
        """The nightly job runs in the middle of somebody's day."""
        partners = self._create_accounts(3)
        for partner in partners[:2]:
            self._visit(partner, 0)
        self._visit(partners[2], 10)
        self.Visit._generate(partners, self.company)
        self.assertEqual(self._get_planned(partners[2]).date_planned, day(1))

    def test_unassigned_accounts_have_no_limit(self):
        partners = self._create_accounts(12, user_id=False)
        for partner in partners:
            self._visit(partner, 10)
        self.Visit._generate(partners, self.company)
        dates = {self._get_planned(partner).date_planned for partner in partners}
        self.assertEqual(dates, {TODAY})

    def test_nothing_after_its_window(self):
        """Where a leave leaves a gap between free days, a visit waits rather than be
        planned for weeks after the last day that would do."""
        self.env["resource.calendar.leaves"].create(
            {
                "name": "Parental leave",
                "company_id": self.company.id,
                "calendar_id": self.company.resource_calendar_id.id,
                "date_from": datetime(2026, 3, 20),
                "date_to": datetime(2026, 4, 20, 23),
            }
        )
        partners = self._create_accounts(5)
        for partner in partners:
            self._visit(partner, 10)
        visits = self.Visit._generate(partners, self.company)
        self.assertEqual(
            sorted(visits.mapped("date_planned")), [TODAY, TODAY, day(1), day(1)]
        )
        backlog = self._get_backlog(partners - visits.partner_id)
        self.assertEqual(backlog.reason, "capacity")

    def test_no_working_hours(self):
        self.company.resource_calendar_id.attendance_ids.unlink()
        partner = self._create_accounts(1)
        self._visit(partner, 10)
        self.assertFalse(self.Visit._generate(partner, self.company))
        self.assertEqual(self._get_backlog(partner).reason, "away")

    def test_bad_capacity(self):
        for value in (0, -1, 101):
            with self.assertRaises(ValidationError):
                self.company.key_account_daily_capacity = value
        member = self.team.crm_team_member_ids[0]
        for value in (-1, 101):
            with self.assertRaises(ValidationError):
                member.key_account_daily_capacity = value

    def test_queries_do_not_grow(self):
        counts = []
        for number in (1, 50):
            partners = self._create_accounts(number)
            for partner in partners:
                self._visit(partner, 10)
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            self.Visit._generate(partners, self.company)
            self.env.flush_all()
            counts.append(self.env.cr.sql_log_count - before)
        self.assertLessEqual(counts[1], counts[0] + 3, counts)

    def test_a_short_meeting_each_day_is_no_reason_to_plan_nothing(self):
        self.company.key_account_daily_capacity = 1
        for number in range(20):
            start = datetime(2026, 3, 18, 8) + timedelta(days=number)
            self.env["calendar.event"].create(
                {
                    "name": "Stand-up",
                    "start": start,
                    "stop": start + timedelta(minutes=15),
                    "user_id": self.rep.id,
                    "partner_ids": [Command.set(self.rep.partner_id.ids)],
                }
            )
        partner = self._create_accounts(1)
        self._visit(partner, 10)
        self.Visit._generate(partner, self.company)
        self.assertEqual(self._get_planned(partner).date_planned, TODAY)

    def test_a_fair_that_takes_all_days_is_lack_of_capacity(self):
        self.env["calendar.event"].create(
            {
                "name": "Fair",
                "start": datetime(2026, 3, 1),
                "stop": datetime(2026, 7, 31),
                "user_id": self.rep.id,
                "partner_ids": [Command.set(self.rep.partner_id.ids)],
            }
        )
        partner = self._create_accounts(1)
        self._visit(partner, 10)
        self.Visit._generate(partner, self.company)
        self.assertEqual(self._get_backlog(partner).reason, "capacity")

    def test_job_goes_on_where_another_addon_fails(self):
        """One account can't be planned, the others are, in each company."""
        partners = self._create_accounts(3)
        for partner in partners:
            self._visit(partner, 10)
        values = self.env["key.account.plan.values"]
        planner = self.env["key.account.planner"]
        create = type(self.Visit)._create_activities

        def fail(visits):
            if partners[1] in visits.partner_id:
                raise UserError(self.env._("Another addon says no."))
            return create(visits)

        plans = planner._get_plans(self.company, ["visit"], partners.ids, [])
        logger = "odoo.addons.crm_key_account"
        with (
            patch.object(type(self.Visit), "_create_activities", fail),
            self.assertLogs(logger, "WARNING") as logs,
        ):
            visits = values._create_batch(self.company, plans)
        self.assertEqual(visits.partner_id, partners[0] | partners[2])
        self.assertIn("Account 1 was refused: Another addon says no.", logs.output[0])
        row = self._get_backlog(partners[1])
        self.assertEqual(row.reason, "refused")
        self.assertEqual(row.refusal, "Another addon says no.")
        with (
            patch.object(
                type(self.Visit), "_create_activities", side_effect=KeyError("bug")
            ),
            self.assertLogs(logger, "WARNING") as logs,
        ):
            self.assertFalse(self.Visit._generate(partners[1], self.company))
        self.assertIn("Traceback", logs.output[0])
        self.assertEqual(self._get_backlog(partners[1]).refusal, "KeyError: 'bug'")
        # nobody refuses any more
        self.assertTrue(self.Visit._generate(partners[1], self.company))
        self.assertFalse(self._get_backlog(partners[1]))

    def test_one_of_many_is_found_by_halves(self):
        partners = self._create_accounts(8)
        for partner in partners:
            self._visit(partner, 10)
        create = type(self.Visit)._create_activities
        sizes = []

        def fail(visits):
            sizes.append(len(visits))
            if partners[5] in visits.partner_id:
                raise UserError(self.env._("No."))
            return create(visits)

        with (
            patch.object(type(self.Visit), "_create_activities", fail),
            self.assertLogs("odoo.addons.crm_key_account", "WARNING"),
        ):
            visits = self.Visit._generate(partners, self.company)
        self.assertEqual(visits.partner_id, partners - partners[5])
        self.assertEqual(sizes, [8, 4, 4, 2, 1, 1, 2])

    # --- backlog follows ------------------------------------------------------------

    def _create_row(self, **values):
        partner = self._create_accounts(1, **values)
        self._visit(partner, 10)
        self.company.resource_calendar_id.attendance_ids.unlink()
        self.Visit._generate(partner, self.company)
        return self._get_backlog(partner)

    def test_archived_customer(self):
        row = self._create_row()
        row.partner_id.active = False
        self.assertFalse(row.exists())

    def test_new_salesperson(self):
        row = self._create_row()
        row.partner_id.user_id = self.rep2
        self.assertEqual((row.user_id, row.account_user_id), (self.rep2, self.rep2))

    def test_salesperson_who_left(self):
        row = self._create_row()
        self.rep.active = False
        self.assertEqual(row.user_id, self.leader)

    def test_now_a_contact(self):
        row = self._create_row()
        row.partner_id.write(
            {"parent_id": self._create_partner("Group").id, "is_company": False}
        )
        self.assertFalse(row.exists())

    def test_planning_switched_off(self):
        row = self._create_row()
        self.company.key_account_planning = False
        self.assertFalse(row.exists())

    def test_merged_customers(self):
        row = self._create_row()
        target = self._create_accounts(1, user_id=self.rep2.id)
        wizard = self.env["base.partner.merge.automatic.wizard"].create({})
        wizard._merge((target | row.partner_id).ids, target)
        self.assertFalse(row.exists())
        self.Visit._generate(target, self.company)
        self.assertEqual(self._get_backlog(target).account_user_id, self.rep2)

    def test_lead_that_gets_the_customer(self):
        row = self._create_row()
        lead = self.env["crm.lead"].create(
            {"name": "Lead", "company_id": self.company.id, "user_id": self.rep.id}
        )
        self.Visit.create(
            {"lead_id": lead.id, "company_id": self.company.id, "date_planned": TODAY}
        )
        self.assertFalse(row.visit_id)
        lead.partner_id = row.partner_id
        self.assertTrue(self._get_planned(lead.partner_id))
        self.assertEqual(row.visit_id, self._get_planned(lead.partner_id))
        self.assertFalse(self._get_backlog(row.partner_id))

    def test_lead_that_changes_company(self):
        other = self._create_company("Another")
        for company in (self.company, other):
            self.env["key.account.cadence"].create(
                {"company_id": company.id, "track": "contact", "interval_count": 2}
            )
        lead = self.env["crm.lead"].create(
            {
                "name": "Lead",
                "company_id": self.company.id,
                "user_id": self.rep.id,
                "expected_revenue": 100,
            }
        )
        self.cr.execute(
            "UPDATE crm_lead SET account_tier_id = %s WHERE id = %s",
            [self.tier_a.id, lead.id],
        )
        self.env.invalidate_all()
        self.Due._refresh(self.company, [], lead.ids)
        row = self.Due.search([("lead_id", "=", lead.id), ("track", "=", "contact")])
        self.assertEqual(row.company_id, self.company)
        self.cr.execute(
            "UPDATE crm_lead SET company_id = %s WHERE id = %s", [other.id, lead.id]
        )
        self.env.invalidate_all()
        self.Due._refresh(other, [], lead.ids)
        self.assertEqual(row.company_id, other)
        # where it was before, it goes without a trace
        self.Due._refresh(self.company, [], lead.ids)
        rows = self.Due.search([("lead_id", "=", lead.id)])
        self.assertEqual(rows.company_id, other)

    def test_rows_that_are_right_are_not_written(self):
        row = self._create_row()
        self.env.flush_all()
        query = "SELECT xmin, ctid FROM key_account_due WHERE id = %s"
        self.cr.execute(query, [row.id])
        before = self.cr.fetchone()
        self.Visit._generate(row.partner_id, self.company)
        self.env.flush_all()
        self.cr.execute(query, [row.id])
        self.assertEqual(self.cr.fetchone(), before)

    def test_rights(self):
        row = self._create_row(user_id=self.rep2.id)
        outsider = self._create_user("ka_backlog_outsider", "base.group_user")
        portal = self._create_user("ka_backlog_portal", "base.group_portal")
        other = self._create_company("Elsewhere")
        stranger = self._create_user("ka_backlog_other", SALES_ADMIN, company=other)
        own = self._create_user("ka_backlog_own", SALES)
        everything = self._create_user("ka_backlog_all", SALES_ALL)
        for user in (outsider, portal, own, stranger):
            rows = row.with_user(user).with_context(allowed_company_ids=None)
            self.assertFalse(rows.has_access("read"), user.login)
        for user in (self.rep2, everything, self.manager):
            self.assertTrue(row.with_user(user).has_access("read"), user.login)
            for operation in ("write", "unlink", "create"):
                self.assertFalse(row.with_user(user).has_access(operation))


@tagged("post_install", "-at_install")
class TestStages(PlanningCommon):
    def setUp(self):
        super().setUp()
        self.partner = self._create_accounts(1)
        self.values = {"partner_id": self.partner.id, "company_id": self.company.id}

    def _get_stage(self):
        self.Card._update_engagement_stages(self.company, self.partner.ids)
        return self._get_card(self.partner).engagement_stage

    def _create_order(self, **values):
        return self.env["sale.order"].create(
            {
                **self.values,
                "order_line": [
                    Command.create(
                        {"product_id": self.product.id, "product_uom_qty": 1}
                    )
                ],
                **values,
            }
        )

    def _create_quotation(self, **values):
        quotation = self._create_order(**values)
        quotation.action_quotation_sent()
        return quotation

    def test_account(self):
        self.assertEqual(self._get_stage(), "target")
        lead = self.env["crm.lead"].create(
            {"name": "Lead", "type": "lead", **self.values}
        )
        self.assertEqual(self._get_stage(), "lead")
        lead.type = "opportunity"
        self.assertEqual(self._get_stage(), "opportunity")
        order = self._create_order()
        order.action_confirm()
        self.assertEqual(self._get_stage(), "contract")
        quotation = self._create_order()
        self.assertEqual(self._get_stage(), "contract", "never sent")
        quotation.action_quotation_sent()
        self.assertEqual(self._get_stage(), "quotation")
        quotation.action_cancel()
        self.assertEqual(self._get_stage(), "contract")
        order._create_invoices().action_post()
        self.assertEqual(order.invoice_status, "invoiced")
        self.assertEqual(self._get_stage(), "opportunity")
        lead.action_set_lost()
        self.assertEqual(self._get_stage(), "target")

    def test_documents_of_contacts_count_and_of_other_companies_do_not(self):
        other = self._create_company("Another")
        contact = self.env["res.partner"].create(
            {"name": "Ann", "parent_id": self.partner.id}
        )
        self.env["crm.lead"].create(
            {
                "name": "Elsewhere",
                "partner_id": self.partner.id,
                "company_id": other.id,
                "type": "opportunity",
            }
        )
        self.assertEqual(self._get_stage(), "target")
        self.env["crm.lead"].create(
            {**self.values, "name": "Here", "partner_id": contact.id, "type": "lead"}
        )
        self.assertEqual(self._get_stage(), "lead")

    def test_lead(self):
        lead = self.env["crm.lead"].create(
            {"name": "Lead", "type": "lead", **self.values}
        )
        self.assertEqual(lead.engagement_stage, "lead")
        lead.type = "opportunity"
        self.assertEqual(lead.engagement_stage, "opportunity")
        order = self._create_order(opportunity_id=lead.id)
        self.assertEqual(lead.engagement_stage, "opportunity", "never sent")
        order.action_quotation_sent()
        self.assertEqual(lead.engagement_stage, "quotation")
        order.action_confirm()
        self.assertEqual(lead.engagement_stage, "contract")
        order._create_invoices().action_post()
        self.assertEqual(lead.engagement_stage, "opportunity")
        lead.action_set_won()
        self.assertEqual(lead.engagement_stage, "target")

    def test_a_quotation_expires(self):
        """By the company's day: the last one on which it holds counts."""
        lead = self.env["crm.lead"].create(
            {"name": "Deal", "type": "opportunity", **self.values}
        )
        quotation = self._create_quotation(
            opportunity_id=lead.id, validity_date=TODAY + timedelta(days=2)
        )
        self.company.resource_calendar_id.tz = "Pacific/Kiritimati"
        for moment, stage in (
            (day(1), "quotation"),
            (datetime.combine(day(2), time(9, 59)), "quotation"),
            # the next day in Kiritimati
            (datetime.combine(day(2), time(10)), "opportunity"),
        ):
            with self.subTest(moment=moment), freeze_time(moment):
                self.Visit._generate(company=self.company)
                self.assertEqual(self._get_card(self.partner).engagement_stage, stage)
                self.assertEqual(lead.engagement_stage, stage)
        quotation.validity_date = False
        self.assertEqual(lead.engagement_stage, "quotation")
        self.assertEqual(self._get_stage(), "quotation")

    def test_a_line_for_a_stage_shortens_the_interval(self):
        self.line.copy({"sequence": 0, "engagement_stage": "quotation"}).write(
            {"interval_count": 2, "interval_unit": "day"}
        )
        self._visit(self.partner, 0)
        self.Visit._generate(self.partner, self.company)
        visit = self._get_planned(self.partner)
        self.assertEqual((visit.date_due, visit.cadence_id), (day(7), self.line))
        self._create_quotation()
        self.Visit._generate(self.partner, self.company)
        self.assertEqual(visit.state, "cancelled")
        self.assertEqual(visit.close_reason, "Stage changed from Target to Quotation")
        visit = self._get_planned(self.partner)
        self.assertEqual(visit.date_due, day(2))
        self.assertEqual(visit.engagement_stage, "quotation")

    def test_without_such_a_line_the_visit_stays_and_shows_the_stage(self):
        self.Visit._generate(self.partner, self.company)
        visit = self._get_planned(self.partner)
        self._create_quotation()
        self.Visit._generate(self.partner, self.company)
        self.assertEqual(visit.state, "planned")
        self.assertEqual(visit.engagement_stage, "quotation")

    def test_orders_the_visits_of_a_day(self):
        others = self._create_accounts(2)
        self.env["crm.lead"].create(
            {
                "name": "Deal",
                "type": "opportunity",
                "partner_id": others[1].id,
                "company_id": self.company.id,
            }
        )
        partners = self.partner | others
        for partner in partners:
            self._visit(partner, 10)
        self.company.key_account_daily_capacity = 6
        self.Visit._generate(partners, self.company)
        with Form(self.Visit) as form:
            form.partner_id = self._create_accounts(1)
            form.date_planned = TODAY
        self._create_quotation(partner_id=form.record.partner_id.id)
        self.Visit._generate(form.record.partner_id, self.company)
        visits = self.Visit.search(
            [
                ("user_id", "in", (self.rep | self.env.user).ids),
                ("date_planned", "=", TODAY),
            ],
            order="date_planned, engagement_stage",
        )
        self.assertEqual(visits[0].partner_id, form.record.partner_id)
        self.assertEqual(visits[1].partner_id, others[1])


@tagged("post_install", "-at_install")
class TestOnRoute(PlanningCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.line.write({"tier_id": cls.tier_c.id, "on_route": True})
        cls.low = cls._create_accounts(1, cls.tier_c, zip="1010", city="Wien")
        cls._visit(cls.low, 8)

    def _plan_nearby(self, number, **values):
        partner = self._create_accounts(1, **{"zip": "1019", **values})
        return self.Visit.create(
            {
                "partner_id": partner.id,
                "company_id": self.company.id,
                "user_id": self.rep.id,
                "date_planned": day(number),
            }
        )

    def _generate(self):
        self.Visit._generate(self.low, self.company)
        return self._get_planned(self.low)

    def test_no_special_trip(self):
        self._plan_nearby(1, zip="8010", city="Graz")
        self.assertFalse(self._generate())
        self.assertEqual(self._get_backlog(self.low).reason, "route")

    def test_near_anyway(self):
        self._plan_nearby(2)
        self.assertEqual(self._generate().date_planned, day(2))
        self.assertFalse(self._get_backlog(self.low))

    def test_a_call_is_no_trip(self):
        visit = self._plan_nearby(2)
        visit.mode = "phone"
        self.assertFalse(self._generate())

    def test_a_run_after_a_clean_run_changes_nothing(self):
        """Calls are no reason to go anywhere, neither when visits on a route are placed
        nor when it is checked whether others still go there."""
        self.line.copy(
            {"tier_id": self.tier_b.id, "track": "contact", "on_route": False}
        )
        called = self._create_accounts(1, self.tier_b, zip="1015")
        self._visit(called, 8, track="contact")
        for number in range(3):
            visits = self.Visit._generate(self.low | called, self.company)
            self.assertEqual(bool(visits), number == 0)
            self.assertTrue(self._get_planned(called, "contact"))
            self.assertFalse(self._get_planned(self.low))
            self.assertFalse(
                self.Visit.search(
                    [("partner_id", "=", self.low.id), ("state", "=", "cancelled")]
                )
            )

    def test_call_on_a_route(self):
        """A line of calls makes no trip, whatever it says of routes."""
        self.line.copy({"tier_id": self.tier_b.id, "track": "contact"})
        called = self._create_accounts(1, self.tier_b, zip="1015")
        self._visit(called, 8, track="contact")
        self.Visit._generate(called, self.company)
        visit = self._get_planned(called, "contact")
        self.assertTrue(visit)
        self.assertFalse(self.Visit._generate(called, self.company))
        self.assertEqual(visit.state, "planned")

    def test_lead_without_customer(self):
        self._plan_nearby(2)
        lead = self.env["crm.lead"].create(
            {
                "name": "Lead",
                "user_id": self.rep.id,
                "company_id": self.company.id,
                "zip": "1012",
            }
        )
        lead.sudo().with_context(tracking_disable=True).flush_recordset()
        self.cr.execute(
            "UPDATE crm_lead SET account_tier_id = %s WHERE id = %s",
            [self.tier_c.id, lead.id],
        )
        lead.invalidate_recordset()
        self.Visit.create(
            {
                "lead_id": lead.id,
                "company_id": self.company.id,
                "user_id": self.rep.id,
                "state": "done",
                "date_done": day(-8),
            }
        )
        self.env["key.account.planner"]._plan(
            self.company, ["visit"], [], lead.ids, horizon=False
        )
        visit = self.Visit.search(
            [("lead_id", "=", lead.id), ("state", "=", "planned")]
        )
        self.assertEqual(visit.date_planned, day(2))

    def test_radius_and_postal_code_are_settings(self):
        self._plan_nearby(2, zip="1190")
        self.assertFalse(self._generate())
        self.company.key_account_route_zip_length = 1
        self.assertEqual(self._generate().date_planned, day(2))

    def test_coordinates(self):
        self.low.write({"partner_latitude": 48.2, "partner_longitude": 16.37})
        visit = self._plan_nearby(2, zip="9999")
        visit.partner_id.write({"partner_latitude": 48.3, "partner_longitude": 16.33})
        self.company.key_account_route_radius = 5
        self.assertFalse(self._generate())
        self.company.key_account_route_radius = 15
        self.assertTrue(self._generate())

    def test_bad_settings_and_coordinates(self):
        for values in (
            {"key_account_route_radius": 0},
            {"key_account_route_radius": 1001},
            {"key_account_route_zip_length": -1},
        ):
            with self.assertRaises(ValidationError):
                self.company.write(values)
        for values in ({"partner_latitude": 90.5}, {"partner_longitude": -181}):
            with self.assertRaises(ValidationError):
                self.low.write(values)

    def test_when_the_trip_is_off_so_is_the_visit(self):
        near = self._plan_nearby(2)
        visit = self._generate()
        near.action_cancel()
        later = self._plan_nearby(5)
        self._generate()
        self.assertEqual(visit.state, "cancelled")
        self.assertEqual(self._get_planned(self.low).date_planned, later.date_planned)

    def test_the_trip_has_begun(self):
        near = self._plan_nearby(0)
        visit = self._generate()
        self.assertEqual(visit.date_planned, TODAY)
        near.action_done()
        self._generate()
        self.assertEqual(visit.state, "planned")

    def test_a_day_that_a_person_chose_stays(self):
        near = self._plan_nearby(2)
        visit = self._generate()
        visit.date_planned = day(6)
        near.action_cancel()
        self._generate()
        self.assertEqual((visit.state, visit.date_planned), ("planned", day(6)))


@tagged("post_install", "-at_install")
class TestRhythm(PlanningCommon):
    def setUp(self):
        super().setUp()
        self.partner = self._create_accounts(1)

    def _generate(self, number=0):
        self.Visit._generate(self.partner, self.company, today=day(number))
        return self._get_planned(self.partner)

    def _get_visits(self, state):
        return self.Visit.search(
            [("partner_id", "=", self.partner.id), ("state", "=", state)]
        )

    # --- missed ---------------------------------------------------------------------

    def test_missed_when_the_window_has_passed(self):
        self._visit(self.partner, 7)
        visit = self._generate()
        # two days are 30 % of a week
        self.assertEqual((visit.date_planned, visit.date_latest), (TODAY, day(2)))
        self.assertEqual(self._generate(2), visit)
        following = self._generate(3)
        self.assertEqual(visit.state, "missed")
        self.assertFalse(visit.activity_id)
        self.assertNotEqual(following, visit)
        self.assertEqual(following.date_planned, date(2026, 3, 23))
        self.assertEqual(following.activity_id.date_deadline, date(2026, 3, 23))

    def test_missed_ones_do_not_pile_up(self):
        self._visit(self.partner, 7)
        for number in range(0, 36):
            self.assertEqual(len(self._generate(number)), 1)
        self.assertGreater(len(self._get_visits("missed")), 4)
        # still overdue since the same day
        self.assertEqual(self._get_visits("planned").date_due, TODAY)

    def test_never_visited_stays_due_since_its_first_date(self):
        self.partner.visit_interval_days = 10
        visit = self._generate()
        due = visit.date_due
        for number in range(1, 40):
            self._generate(number)
        self.assertGreater(len(self._get_visits("missed")), 1)
        self.assertEqual(self._get_planned(self.partner).date_due, due)
        # also while it waits
        self._get_planned(self.partner).sudo()._close("Test")
        self.company.resource_calendar_id.attendance_ids.unlink()
        self._generate(40)
        row = self._get_backlog(self.partner)
        self.assertEqual(row.date_due, due)
        self._get_visits("missed").sudo().unlink()
        self._generate(60)
        self.assertEqual((row.date_due, row.date_since), (due, due))
        with freeze_time(datetime.combine(day(60), datetime.min.time())):
            row.invalidate_recordset()
            self.assertGreater(row.overdue_ratio, 4)

    def test_moved_by_hand_has_a_window_of_its_own(self):
        self._visit(self.partner, 7)
        visit = self._generate()
        visit.activity_id.with_user(self.rep).date_deadline = day(8)
        self.assertEqual(self._generate(10), visit)
        self._generate(11)
        self.assertEqual(visit.state, "missed")

    def test_planned_by_hand_has_none(self):
        visit = self.Visit.create(
            {
                "partner_id": self.partner.id,
                "company_id": self.company.id,
                "user_id": self.rep.id,
                "date_planned": TODAY,
            }
        )
        self.assertEqual(self._generate(60), visit)

    def test_missed_where_the_rep_is(self):
        self._visit(self.partner, 7)
        visit = self._generate()
        for tz, state in (
            ("America/Los_Angeles", "planned"),
            ("Pacific/Kiritimati", "missed"),
        ):
            self.rep.tz = tz
            # the 21st in Kiritimati, the 20th in Los Angeles
            with freeze_time("2026-03-20 12:00:00"):
                self.env["key.account.plan.revision"]._mark_missed(
                    self.company, self.partner.ids
                )
            self.assertEqual(visit.state, state, tz)

    def test_a_missed_visit_can_not_be_done(self):
        self._visit(self.partner, 7)
        visit = self._generate()
        self._generate(3)
        with self.assertRaises(UserError):
            visit.with_user(self.rep).action_done()

    # --- escalation -----------------------------------------------------------------

    def _get_escalations(self):
        return (
            self.env["mail.activity"]
            .with_context(active_test=False)
            .search(
                [
                    ("res_model", "=", "res.partner"),
                    ("res_id", "=", self.partner.id),
                    ("user_id", "=", self.leader.id),
                ]
            )
        )

    def test_the_leader_is_told_once(self):
        self.line.escalate_after_days = 5
        self._visit(self.partner, 7)
        for number in range(6):
            self._generate(number)
        self.assertFalse(self._get_escalations())
        for number in range(6, 40):
            self._generate(number)
        activity = self._get_escalations()
        self.assertEqual(len(activity), 1)
        self.assertEqual(activity.date_deadline, day(6))
        self.assertIn("6 days", activity.summary)
        self.assertFalse(activity.can_report_key_account_visit)
        self.assertIn(self.rep.name, activity.summary)
        self.assertIn("Missed", activity.note)
        self.assertIn("Done", activity.note)
        # done or thrown away: it doesn't come again
        activity.unlink()
        self._generate(41)
        self.assertFalse(self._get_escalations())

    def test_told_again_after_the_next_visit(self):
        self.line.escalate_after_days = 5
        self._visit(self.partner, 7)
        self._generate(6)
        self.assertEqual(len(self._get_escalations()), 1)
        with freeze_time("2026-03-25 09:00:00"):
            self._get_planned(self.partner).action_done()
        self._generate(20)
        self.assertEqual(len(self._get_escalations()), 2)

    def test_backlog_escalates_too(self):
        self.line.escalate_after_days = 5
        self._visit(self.partner, 7)
        self.company.resource_calendar_id.attendance_ids.unlink()
        self._generate(6)
        row = self._get_backlog(self.partner)
        self.assertEqual(row.date_escalated, day(6))
        self.assertIn("No working day", self._get_escalations().note)
        self._generate(7)
        self.assertEqual(len(self._get_escalations()), 1)

    def test_the_leader_of_whoever_has_the_visit_now(self):
        self.line.escalate_after_days = 5
        boss = self._create_user("ka_other_leader", SALES_ALL)
        team = self.env["crm.team"].create(
            {
                "name": "Others",
                "company_id": self.company.id,
                "user_id": boss.id,
                "member_ids": [Command.set(self._create_user("ka_o", SALES).ids)],
            }
        )
        self._visit(self.partner, 7)
        visit = self._generate()
        visit.activity_id.user_id = team.member_ids
        self.assertEqual(visit.team_id, team)
        visit.user_id = self.rep
        self.assertEqual(visit.team_id, self.team)
        visit.user_id = team.member_ids
        visit.date_planned = day(20)
        self._generate(6)
        self.assertTrue(visit.date_escalated)
        activities = self.env["mail.activity"].search([("user_id", "=", boss.id)])
        self.assertEqual(activities.res_id, self.partner.id)

    def test_nobody_to_tell(self):
        self.line.escalate_after_days = 5
        self.team.user_id = False
        self._visit(self.partner, 7)
        self.assertFalse(self._generate(6).date_escalated)
        self.team.user_id = self.leader
        self.assertTrue(self._generate(6).date_escalated)

    def test_zero_is_never_and_less_is_refused(self):
        self._visit(self.partner, 7)
        self._generate(100)
        self.assertFalse(self._get_escalations())
        for name in ("escalate_after_days", "follow_up_days"):
            with self.assertRaises(ValidationError):
                self.line[name] = -1
