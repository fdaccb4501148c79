from datetime import timedelta
from random import Random

from freezegun import freeze_time

from odoo import Command
from odoo.tests import tagged

from ...const import NO_RANK, STAGE_NUMBERS
from ...engine import cadence, planner
from ...models.account.key_account_mixin import get_account_key
from ...models.planning.key_account_agenda import MODE_LOADS
from ...models.planning.key_account_cadence import TRACK_MODES
from ..common import SALES, TODAY
from .expected import first_due, next_due
from .test_planning import PlanningCommon, day

TRACKS = ("visit", "contact", "executive")


class DueCommon(PlanningCommon):
    """Lines for tiers, levels and stages, on every track."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # those without a company would come in between
        cls.env["key.account.cadence"].search(
            [("company_id", "=", False)]
        ).active = False
        values = [
            (cls.tier_a, "contact", 2, "week", {}),
            (cls.tier_a, "executive", 6, "month", {}),
            (cls.tier_b, "visit", 5, "day", {"engagement_stage": "lead"}),
            (cls.tier_b, "visit", 2, "month", {"relationship_level": "partner"}),
            (cls.tier_b, "visit", 1, "month", {}),
            (cls.tier_c, "contact", 1, "month", {}),
            (cls.tier_c, "visit", 3, "month", {"on_route": True}),
        ]
        cls.lines = cls.line | cls.env["key.account.cadence"].create(
            [
                {
                    "company_id": cls.company.id,
                    "tier_id": tier.id,
                    "track": track,
                    "interval_count": count,
                    "interval_unit": unit,
                    "sequence": number,
                    **more,
                }
                for number, (tier, track, count, unit, more) in enumerate(values, 2)
            ]
        )
        cls.sponsor = cls._create_user("ka_sponsor", SALES)

    def _get_rows(self):
        rows = self.Due.search([("company_id", "=", self.company.id)])
        return {row._get_account_key(): row for row in rows}

    # --- a recount in plain Python --------------------------------------------------

    def _recount(self, known, today=TODAY):
        """Return {key: (line, days, due date, responsible, team, planned visit)}.

        :param dict known: {key: (first asked, days)} of before: what was asked for of
            an account that nobody visited stays
        """
        lines = self.env["key.account.cadence"]._get_lines(self.company)
        subjects = [
            (card.partner_id, self.env["crm.lead"], card)
            for card in self.Card.search([("company_id", "=", self.company.id)])
            if card.partner_id.active
            and card.partner_id == card.partner_id.commercial_partner_id
            and card.partner_id.company_id in (self.company, self.company.browse())
        ]
        subjects += [
            (self.env["res.partner"], lead, lead)
            for lead in self.env["crm.lead"].search([("partner_id", "=", False)])
            if lead._get_key_account_company() == self.company
            and lead.won_status == "pending"
            and lead.account_tier_id
        ]
        result = {}
        for partner, lead, card in subjects:
            account = partner.with_company(self.company)
            loss = self._find_loss(partner)
            tier = card.tier_id if partner else lead.account_tier_id
            level = card.relationship_level or "transactional"
            for track in TRACKS:
                own = account.visit_interval_days if track == "visit" else 0
                wanted = (
                    lead
                    or card.is_account
                    or tier
                    or level != "transactional"
                    or loss
                    or own
                )
                line = lines._match(
                    tier.id, track, own or loss, level, card.engagement_stage
                )
                if not wanted or not line:
                    continue
                if loss and not (track == "visit" and loss.date_win_back):
                    continue
                values = self._recount_track(
                    partner, lead, line, track, own, loss, known, today
                )
                if values:
                    key = get_account_key(partner.id, lead.id, self.company.id, track)
                    result[key] = values
        return result

    def _find_loss(self, partner):
        return self.env["key.account.loss"].search(
            [
                ("partner_id", "=", partner.id),
                ("company_id", "=", self.company.id),
                ("date_returned", "=", False),
            ]
        )

    def _find_visits(self, partner, lead, track):
        domain = [("company_id", "=", self.company.id), ("track", "=", track)]
        column = "partner_id" if partner else "lead_id"
        return self.Visit.search([*domain, (column, "=", (partner or lead).id)])

    def _recount_track(self, partner, lead, line, track, own, loss, known, today):
        visits = self._find_visits(partner, lead, track)
        done = visits.filtered(lambda visit: visit.state == "done")
        if loss and any(
            visit.loss_id == loss or visit.date_done >= loss.date_win_back
            for visit in done
        ):
            return None
        last_done = max(done.mapped("date_done"), default=None)
        cancelled = visits.filtered(
            lambda visit: visit.date_resume and visit.loss_id == loss
        ).sorted("id")
        resume = None
        last = done.filtered(lambda visit: visit.date_done == last_done)
        if cancelled and (
            loss
            or not last_done
            or cancelled[-1].date_cancelled > last_done
            or cancelled[-1].date_cancelled == last_done
            # of one moment the later row
            and (cancelled[-1].closed_at, cancelled[-1].id)
            > max((visit.closed_at, visit.id) for visit in last)
        ):
            resume = cancelled[-1].date_resume
        if loss:
            resume = max(filter(None, (resume, loss.date_win_back)))
        count, unit = line._get_interval(own)
        days = cadence.interval_days(count, unit)
        key = get_account_key(partner.id, lead.id, self.company.id, track)
        asked = visits.filtered(
            lambda visit: visit.state in ("planned", "missed") and visit.date_due
        ).mapped("date_due")
        since, old_days = known.get(key, (None, None))
        horizon = timedelta(days=self.company.key_account_horizon_days)
        if since and (old_days == days or since <= today + horizon):
            asked.append(since)
        date_due = (
            next_due(last_done, count, unit, resume)
            or min(asked, default=None)
            or first_due((partner or lead).id, days, today)
        )
        responsible, team = self._recount_responsible(partner, lead, track)
        planned = visits.filtered(lambda visit: visit.state == "planned")
        return (line, days, date_due, responsible, team, planned)

    def _recount_responsible(self, partner, lead, track):
        users = self.env["res.users"]
        owner = (partner or lead).user_id
        asked = owner
        if track == "executive":
            asked = partner.with_company(self.company).executive_sponsor_id
        members = (
            self.env["crm.team.member"]
            .with_context(active_test=False)
            .search(
                [
                    ("user_id", "=", owner.id),
                    ("crm_team_id.company_id", "=", self.company.id),
                ],
                order="active DESC, id",
            )
        )
        team = members[:1].crm_team_id if owner else members.crm_team_id
        is_there = asked.active and self.company in asked.company_ids
        if is_there and not asked.share:
            return asked, team
        team = team or self._recount_latest_team(partner, lead)
        leader = team.user_id
        if not (leader.active and self.company in leader.company_ids):
            leader = users
        return leader, team

    def _recount_latest_team(self, partner, lead):
        """Return the team of the latest lead or order."""
        contacts = self.env["res.partner"].search(
            [("commercial_partner_id", "=", partner.id)]
        )
        leads = self.env["crm.lead"].search(
            [("partner_id", "in", contacts.ids), ("team_id", "!=", False)]
            if partner
            else [("id", "=", lead.id)],
            order="create_date DESC, id DESC",
            limit=1,
        )
        orders = self.env["sale.order"].search(
            [
                ("partner_id", "in", contacts.ids),
                ("team_id", "!=", False),
                ("company_id", "=", self.company.id),
            ],
            order="date_order DESC",
            limit=1,
        )
        days = {order.date_order: order.team_id for order in orders}
        days.update((each.create_date, each.team_id) for each in leads)
        return days[max(days)] if days else self.env["crm.team"]

    def _check(self, known, message=None):
        """Compare the rows with the recount."""
        self.env.flush_all()
        self.env.invalidate_all()
        rows = {
            key: (
                row.cadence_id,
                row.days,
                row.date_due,
                row.user_id,
                row.team_id,
                row.visit_id,
            )
            for key, row in self._get_rows().items()
        }
        expected = self._recount(known)
        self.assertEqual(rows.keys(), expected.keys(), message)
        for key, values in expected.items():
            self.assertEqual(rows[key], values, f"{message}: {key}")
        # written where it differs, and nowhere else
        before = self._get_state()
        self.Due._refresh(self.company)
        self.assertEqual(self._get_state(), before, message)

    def _get_state(self):
        self.env.flush_all()
        self.cr.execute("SELECT * FROM key_account_due ORDER BY id")
        return self.cr.fetchall()

    def _get_known(self):
        return {
            key: (row.date_since, row.days) for key, row in self._get_rows().items()
        }

    @classmethod
    def _create_book(cls, seed, number):
        """Return accounts of every kind with a history, and a few leads."""
        random = Random(seed)
        partners = cls._create_accounts(number)
        users = (cls.rep, cls.rep2, cls.leader, cls.env["res.users"])
        for partner in partners:
            account = partner.with_company(cls.company)
            account.account_tier_id = random.choice(cls.policy.tier_ids)
            if random.random() < 0.2:
                account.relationship_level = "partner"
            if random.random() < 0.2:
                account.visit_interval_days = random.choice((3, 10, 40))
            if random.random() < 0.3:
                account.executive_sponsor_id = cls.sponsor
            values = {"zip": random.choice(("1010", "1019", "8010")), "city": "Wien"}
            partner.write({"user_id": random.choice(users).id, **values})
            if random.random() < 0.2:
                cls.env["crm.lead"].create(
                    {
                        "name": "Lead",
                        "type": "lead",
                        "partner_id": partner.id,
                        "company_id": cls.company.id,
                        "user_id": False,
                        "team_id": cls.team.id,
                    }
                )
        planned = cls.Visit.search(
            [("partner_id", "in", partners.ids), ("state", "=", "planned")]
        )
        planned.sudo().unlink()
        for partner in partners:
            for track in TRACKS:
                if random.random() < 0.6:
                    cls._visit(partner, random.randint(1, 120), track=track)
        cls.Card._update_engagement_stages(cls.company, partners.ids)
        return partners


@tagged("post_install", "-at_install")
class TestDue(DueCommon):
    """The rows, compared with a recount, also after every event that moves one."""

    def test_recount(self):
        for seed in range(3):
            self._create_book(seed, 15)
            self._check(self._get_known(), seed)

    def test_never_visited_are_spread_over_the_first_interval(self):
        partners = self._create_accounts(20)
        rows = [row for row in self._get_rows().values() if row.partner_id in partners]
        dates = {row.date_due for row in rows if row.track == "visit"}
        self.assertEqual(dates, {day(number) for number in range(7)})

    def test_a_promotion_does_not_postpone(self):
        """An account that was asked for and never visited keeps its first day,
        whatever tiers follow; one that wasn't asked for yet is spread anew."""
        partners = self._create_accounts(40, self.tier_b)
        before = {
            row.partner_id: row.date_due
            for row in self._get_rows().values()
            if row.track == "visit"
        }
        self._set_tier(partners, self.tier_a)
        kept, spread = [], []
        for row in self._get_rows().values():
            if row.track == "visit" and row.partner_id in partners:
                old = before[row.partner_id]
                if old <= day(14):
                    kept.append(row)
                    self.assertEqual((row.date_due, row.date_since), (old, old))
                else:
                    spread.append(row)
                    self.assertLessEqual(row.date_due, day(6))
        self.assertTrue(kept and spread)

    def test_waiting_survives(self):
        """Since when, why and whom we told: until the next visit."""
        self.line.escalate_after_days = 5
        partner = self._create_accounts(1)
        self._visit(partner, 40)
        self.company.resource_calendar_id.attendance_ids.unlink()
        self.Visit._generate(partner, self.company)
        row = self._get_rows()[partner.id, 0, self.company.id, "visit"]
        self.assertEqual((row.reason, row.date_escalated), ("away", TODAY))
        self.Due._refresh(self.company)
        self._set_tier(partner, self.tier_b)
        self.assertEqual((row.reason, row.date_escalated), ("away", TODAY))
        self._visit(partner, 0)
        self.assertFalse(row.date_escalated)

    # --- events ---------------------------------------------------------------------

    def _get_events(self):
        """Return {what happens: how}, to one of the accounts each."""
        book = self._create_book(7, 24)
        self.Visit._generate(book, self.company)
        companies = self.company | self._create_company("Other")
        planned = self.Visit.search(
            [
                ("partner_id", "in", book.ids),
                ("state", "=", "planned"),
                ("track", "=", "visit"),
            ]
        )
        visits = iter(planned)
        accounts = iter((book - planned[:12].partner_id).with_company(self.company))
        reason = self.env.ref("crm_key_account.churn_reason_quality")
        lead = self.env["crm.lead"].create(
            {
                "name": "Alone",
                "company_id": self.company.id,
                "user_id": self.rep.id,
                "expected_revenue": 10,
            }
        )
        values = {"company_id": self.company.id, "user_id": self.rep.id}

        def lose(partner):
            return self.env["key.account.loss"].create(
                {
                    "partner_id": partner.id,
                    "company_id": self.company.id,
                    "reason_id": reason.id,
                    "date_win_back": day(30),
                }
            )

        def merge(source, target):
            wizard = self.env["base.partner.merge.automatic.wizard"].create({})
            wizard._merge((source | target).ids, target)

        lost = next(accounts)
        return {
            "visit planned by hand": lambda: self.Visit.create(
                {"partner_id": next(accounts).id, "track": "executive", **values}
            ),
            "visit logged": lambda: self._visit(next(accounts), 2),
            "visit done": lambda: next(visits).action_done(),
            "visit cancelled": lambda: next(visits).action_cancel(day(20)),
            "visit moved": lambda: next(visits).write({"date_planned": day(9)}),
            "visit missed": lambda: next(visits).sudo()._close("Gone"),
            "visit deleted": lambda: next(visits).sudo().unlink(),
            "activity done": lambda: next(visits).activity_id.action_feedback(),
            "windows passed": lambda: self.env[
                "key.account.plan.revision"
            ]._mark_missed(self.company, today=day(400)),
            "tier": lambda: next(accounts).write({"account_tier_id": self.tier_a.id}),
            "no tier": lambda: next(accounts).write({"account_tier_id": False}),
            "level": lambda: next(accounts).write({"relationship_level": "partner"}),
            "own interval": lambda: next(accounts).write({"visit_interval_days": 4}),
            "stage": lambda: (
                self.env["crm.lead"].create(
                    {"name": "L", "partner_id": book[-1].id, "type": "lead", **values}
                ),
                self.Card._update_engagement_stages(self.company),
            ),
            "salesperson": lambda: next(accounts).write({"user_id": self.rep2.id}),
            "sponsor": lambda: (
                book[-2:]
                .with_company(self.company)
                .write({"executive_sponsor_id": self.sponsor.id})
            ),
            "line changed": lambda: self.line.write({"interval_count": 3}),
            "line archived": lambda: self.lines[1].write({"active": False}),
            "line added": lambda: self.line.copy({"tier_id": self.tier_b.id}),
            "lines in another order": lambda: self.lines[5].write({"sequence": 0}),
            "line deleted": lambda: self.lines[6].unlink(),
            "lost": lambda: lose(lost),
            "returned": lambda: (
                self.env["key.account.loss"]
                .search([("partner_id", "=", lost.id)])
                .action_return()
            ),
            "merged": lambda: merge(book[-3], book[-4]),
            "archived": lambda: book[-5].write({"active": False}),
            "restored": lambda: book[-5].write({"active": True}),
            "now a contact": lambda: book[-6].write(
                {"parent_id": book[-1].id, "is_company": False}
            ),
            "another company's": lambda: book[-7].write(
                {"company_id": companies[1].id}
            ),
            "lead worth more": lambda: lead.write({"expected_revenue": 10**6}),
            "lead lost": lambda: lead.action_set_lost(),
            "lead restored": lambda: lead.action_unarchive(),
            "lead's salesperson": lambda: lead.write({"user_id": self.rep2.id}),
            "lead won": lambda: lead.action_set_won(),
            "lead gets a customer": lambda: lead.write({"partner_id": book[-1].id}),
            "salesperson left": lambda: self.rep2.write({"active": False}),
            "salesperson is back": lambda: self.rep2.write({"active": True}),
            "new leader": lambda: self.team.write({"user_id": self.rep2.id}),
            "member leaves the team": lambda: self.team.write(
                {"member_ids": [Command.set(self.rep2.ids)]}
            ),
            "salesperson is a portal user": lambda: self.rep.write(
                {"group_ids": [Command.set(self.env.ref("base.group_portal").ids)]}
            ),
            "salesperson works again": lambda: self.rep.write(
                {"group_ids": [Command.set(self.env.ref(SALES).ids)]}
            ),
            "another company's salesperson": lambda: self.rep2.write(
                {
                    "company_ids": [Command.set(companies[1].ids)],
                    "company_id": companies[1].id,
                }
            ),
            "another company's team": lambda: (
                self.team.write({"member_ids": [Command.clear()], "user_id": False}),
                self.team.write({"company_id": companies[1].id}),
            ),
            "team is back": lambda: self.team.write({"company_id": self.company.id}),
            "team archived": lambda: self.team.write({"active": False}),
            "team deleted": lambda: self.team.unlink(),
        }

    def test_events(self):
        events = self._get_events()
        self._check(self._get_known(), "before")
        for name, event in events.items():
            known = self._get_known()
            event()
            self._check(known, name)

    def test_dragged_lines_refresh_once(self):
        partners = self._create_accounts(3, self.tier_b)
        known = self._get_known()
        refreshed = []
        origin = type(self.Due)._refresh

        def refresh(dues, company, *args, **kwargs):
            refreshed.append(company)
            return origin(dues, company, *args, **kwargs)

        self.patch(type(self.Due), "_refresh", refresh)
        self.lines.sorted("sequence", reverse=True).web_resequence({})
        self.lines.search([("id", "in", self.lines.ids)]).web_resequence({})
        self.assertEqual(len(refreshed), 1, "nothing the second time")
        self._check(known, "the other way round")
        self.assertTrue(self.Due.search_count([("partner_id", "in", partners.ids)]))

    def test_planning_off_and_on(self):
        """What isn't planned isn't due; who is due again has no reason to wait before
        planning looked for a day."""
        partners = self._create_accounts(3)
        self.company.key_account_planning = False
        domain = [("company_id", "=", self.company.id)]
        self.assertFalse(self.Due.search_count(domain))
        self.assertFalse(partners.with_company(self.company).key_account_id.due_ids)
        self.company.key_account_planning = True
        rows = self.Due.search([*domain, ("partner_id", "in", partners.ids)])
        self.assertEqual(rows.partner_id, partners)
        self.assertEqual(set(rows.mapped("reason")), {False})

    def test_a_lead_without_customer(self):
        lead = self.env["crm.lead"].create(
            {"name": "L", "company_id": self.company.id, "user_id": self.rep.id}
        )
        self.cr.execute(
            "UPDATE crm_lead SET account_tier_id = %s WHERE id = %s",
            [self.tier_a.id, lead.id],
        )
        self.env.invalidate_all()
        self.Due._refresh(self.company, [], lead.ids)
        self._check(self._get_known())
        rows = self.Due.search([("lead_id", "=", lead.id)])
        self.assertEqual(len(rows), 3)
        since = {row.track: row.date_since for row in rows}
        other = self.env["crm.lead"].create(
            {"name": "M", "company_id": self.company.id, "user_id": self.rep.id}
        )
        (lead | other).merge_opportunity()
        left = (lead | other).exists()
        self.assertEqual(len(left), 1)
        self.cr.execute(
            "UPDATE crm_lead SET account_tier_id = %s WHERE id = %s",
            [self.tier_a.id, left.id],
        )
        self.env.invalidate_all()
        self.Due._refresh(self.company, [], left.ids)
        rows = self.Due.search([("lead_id", "=", left.id)])
        self.assertEqual({row.track for row in rows}, set(since))

    def test_a_lead_goes_on_in_another_company(self):
        other = self._create_company("Other")
        other.key_account_planning = True
        self.env["key.account.cadence"].create(
            {"company_id": other.id, "interval_count": 1, "interval_unit": "week"}
        )
        self.env["key.account.policy"].create(
            {
                "name": "Other",
                "company_id": other.id,
                "method": "threshold",
                "tier_ids": [
                    Command.create({"name": "All", "code": "L", "threshold": 0})
                ],
            }
        )
        user = self._create_user("ka_both", SALES)
        user.company_ids |= other
        lead = self.env["crm.lead"].create(
            {
                "name": "L",
                "company_id": self.company.id,
                "user_id": user.id,
                "team_id": False,
                "expected_revenue": 1000,
            }
        )
        self.cr.execute(
            "UPDATE crm_lead SET account_tier_id = %s WHERE id = %s",
            [self.tier_a.id, lead.id],
        )
        self.env.invalidate_all()
        self.Due._refresh(self.company, [], lead.ids)
        row = self.Due.search([("lead_id", "=", lead.id), ("track", "=", "visit")])
        row.date_since = day(-20)
        lead.company_id = other
        self.assertEqual(lead.account_tier_id.name, "All")
        row = self.Due.search([("lead_id", "=", lead.id)])
        self.assertEqual(
            (row.company_id, row.track, row.date_since), (other, "visit", day(-20))
        )

    def test_leads_are_overdue_in_their_company(self):
        other = self._create_company("Other")
        self.rep.company_ids |= other
        partner = self._create_accounts(1)
        self._visit(partner, 10)
        leads = self.env["crm.lead"].create(
            [
                {
                    "name": "L",
                    "partner_id": partner.id,
                    "company_id": company.id,
                    "user_id": self.rep.id,
                    "team_id": False,
                }
                for company in (self.company, other)
            ]
        )
        self.assertEqual(leads.company_id, self.company | other)
        leads = leads.with_user(self.rep).with_context(
            allowed_company_ids=(self.company | other).ids
        )
        domain = [("id", "in", leads.ids), ("is_visit_overdue", "=", True)]
        self.assertEqual(leads.search(domain), leads[0])
        self.assertEqual(leads.mapped("is_visit_overdue"), [True, False])
        leads = leads.with_context(allowed_company_ids=(other | self.company).ids)
        self.assertEqual(leads.search(domain), leads[0])
        self._visit(partner, 0)
        self.assertFalse(leads[0].is_visit_overdue)

    def test_merged_goes_on_with_the_first_day(self):
        partners = self._create_accounts(2, self.tier_b)
        first = min(
            row.date_since
            for row in self._get_rows().values()
            if row.partner_id in partners and row.track == "visit"
        )
        wizard = self.env["base.partner.merge.automatic.wizard"].create({})
        wizard._merge(partners.ids, partners[0])
        row = self._get_rows()[partners[0].id, 0, self.company.id, "visit"]
        self.assertEqual(row.date_since, first)

    def test_events_cost_the_same_for_one_and_for_fifty(self):
        counts = []
        # which company leads of none are in is asked once
        self.env["res.company"]._get_key_account_fallback()
        for number in (1, 50):
            partners = self._create_accounts(number)
            self._visit(partners[0], 3)
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            self.Due._refresh_touched(partners.ids)
            counts.append(self.cr.sql_log_count - before)
        self.assertEqual(counts[0], counts[1])
        self.assertLessEqual(counts[1], 7)

    # --- overdue --------------------------------------------------------------------

    def test_overdue_is_the_due_date(self):
        """Also the morning after a re-planning, when the planned day is still to
        come; of what a person planned without a due date it's the planned day."""
        late, early, byhand = self._create_accounts(3)
        self._visit(late, 10)
        self._visit(early, 5)
        self.company.key_account_daily_capacity = 1
        self.env["calendar.event"].create(
            {
                "name": "Fair",
                "start": "2026-03-18 00:00:00",
                "stop": "2026-03-19 23:00:00",
                "user_id": self.rep.id,
                "partner_ids": [Command.set(self.rep.partner_id.ids)],
            }
        )
        self.Visit._generate(late | early, self.company)
        visit = self._get_planned(late)
        self.assertGreater(visit.date_planned, TODAY)
        self.assertTrue(visit.is_overdue)
        self.assertFalse(self._get_planned(early).is_overdue)
        own = self.Visit.create(
            {
                "partner_id": byhand.id,
                "company_id": self.company.id,
                "user_id": self.rep.id,
                "date_planned": day(-1),
            }
        )
        self.assertTrue(own.is_overdue)
        partners = late | early | byhand
        visits = self.Visit.search(
            [("is_overdue", "=", True), ("partner_id", "in", partners.ids)]
        )
        self.assertEqual(visits, visit | own)
        accounts = self.Card.search(
            [("partner_id", "in", partners.ids), ("is_overdue", "=", True)]
        )
        self.assertEqual(accounts.partner_id, late | byhand)
        self.assertEqual(accounts.mapped("is_overdue"), [True, True])
        self.assertFalse(self._get_card(early).is_overdue)
        self.assertEqual(self._get_card(late).next_due_date, day(-3))
        found = self.env["res.partner"].search(
            [("id", "in", partners.ids), ("is_visit_overdue", "=", True)]
        )
        self.assertEqual(found, late | byhand)
        board = self.Visit.with_user(self.rep).get_week_board()
        cards = {card["name"]: card["is_overdue"] for card in board["visits"]}
        self.assertTrue(cards[late.name])
        self.assertFalse(cards.get(early.name, False))
        # a visit that is planned by then takes it out of neither
        self.assertFalse(self._get_backlog(late))

    def test_next_due_date(self):
        cards = self.Card.browse()
        for partner in self._create_accounts(3):
            cards |= self._get_card(partner)
        dates = {card: min(card.due_ids.mapped("date_due")) for card in cards}
        for card, day_ in dates.items():
            self.assertEqual(card.next_due_date, day_)
        ordered = self.Card.search([("id", "in", cards.ids)], order="next_due_date, id")
        self.assertEqual(
            ordered.ids, sorted(cards.ids, key=lambda i: (dates[cards.browse(i)], i))
        )
        last = max(dates.values())
        found = self.Card.search(
            [("id", "in", cards.ids), ("next_due_date", "<=", last)]
        )
        self.assertEqual(found, cards)


@tagged("post_install", "-at_install")
class TestPlanEverybody(DueCommon):
    """Looking at those alone who can have a day gives the plan of looking at all."""

    def _plan_everybody(self, today):
        """Return {key: day} with everybody who is due at the planner's."""
        rows = self.Due.search(
            [("company_id", "=", self.company.id), ("visit_id", "=", False)]
        ).filtered(lambda row: row.date_due <= today + timedelta(days=14))
        users = rows.user_id
        areas = self.env["key.account.agenda"]._get_areas(
            row._get_account_key()[:2] for row in rows
        )
        booked = self.env["key.account.agenda"]._get_booked(users, with_areas=True)
        capacities = self.env["key.account.agenda"]._get_day_capacities(
            users, self.company, today, today + timedelta(days=14 + 92)
        )
        result = {}
        for user, group in rows.grouped("user_id").items():
            dues = [
                planner.Due(
                    row._get_account_key(),
                    row.date_due,
                    row.days,
                    row.tier_id.sequence if row.tier_id else NO_RANK,
                    STAGE_NUMBERS[row.engagement_stage],
                    MODE_LOADS[TRACK_MODES[row.track]],
                    row.on_route,
                    areas[row._get_account_key()[:2]],
                    TRACK_MODES[row.track] == "on_site",
                )
                for row in group
            ]
            slots = planner.plan(
                dues,
                booked[user.id],
                {
                    day_: int(load * 4) if user else 10**9
                    for day_, load in capacities[user.id].items()
                },
                today,
                14,
                nearness=self.company._get_key_account_nearness(),
            )
            result.update((key, slot.day) for key, slot in slots.items() if slot.day)
        return result

    def test_random_books(self):
        for seed, number in ((1, 20), (2, 60), (3, 90)):
            book = self._create_book(seed, number)
            if seed == 2:
                # a leave that leaves a gap
                self.env["resource.calendar.leaves"].create(
                    {
                        "name": "Leave",
                        "company_id": self.company.id,
                        "calendar_id": self.company.resource_calendar_id.id,
                        "date_from": "2026-03-20 00:00:00",
                        "date_to": "2026-04-09 23:00:00",
                    }
                )
            for today in (TODAY, day(1)):
                with freeze_time(f"{today} 09:00:00"):
                    # what is missed, or off its route, wants a new day
                    self.env["key.account.planner"]._prepare_plan(
                        self.company, today=today
                    )
                    expected = self._plan_everybody(today)
                    made = self.Visit._generate(company=self.company, today=today)
                    mine = made.filtered(lambda v: v.company_id == self.company)
                    self.assertEqual(
                        {v._get_account_key(): v.date_planned for v in mine}, expected
                    )
                    # everybody else waits for a reason
                    waiting = self.Due.search(
                        [
                            ("partner_id", "in", book.ids),
                            ("company_id", "=", self.company.id),
                            ("is_waiting", "=", True),
                        ]
                    )
                    self.assertTrue(all(waiting.mapped("reason")))
                    self.assertFalse(
                        self.Visit._generate(company=self.company, today=today)
                    )

    def test_a_second_run_changes_nothing(self):
        self._create_book(5, 40)
        self.Visit._generate(company=self.company)
        self.env.flush_all()
        before = self._get_state()
        self.assertFalse(self.Visit._generate(company=self.company))
        self.assertEqual(self._get_state(), before)
