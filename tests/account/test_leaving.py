"""Accounts that leave, and come back."""

import json
from datetime import date, timedelta

from freezegun import freeze_time
from psycopg2.errors import UniqueViolation

from odoo import Command
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, HttpCase, tagged
from odoo.tools import mute_logger

from ...hooks import uninstall_hook
from ..common import SALES_ADMIN, TODAY, KeyAccountCommon

DAY = timedelta(days=1)


class LeavingCommon(KeyAccountCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.startClassPatcher(freeze_time("2026-03-18 09:00:00"))
        cls.env["key.account.cadence"].search([]).active = False
        cls.cadence = cls._create_cadence(cls.tier_a, 1, "week")
        cls.Loss = cls.env["key.account.loss"]
        cls.price = cls.env.ref("crm_key_account.churn_reason_price")
        cls.partner = cls._create_partner("Customer")
        cls._set_tier(cls.partner, cls.tier_a)

    def _open_wizard(self, partner=None, user=None, **values):
        wizard = self.env["key.account.loss.set"].with_user(user or self.rep)
        return wizard.create(
            {
                "partner_id": (partner or self.partner).id,
                "reason_id": self.price.id,
                **values,
            }
        )

    def _lose(self, partner=None, user=None, **values):
        """Mark lost as a user does; return the loss as superuser."""
        wizard = self._open_wizard(partner, user, **values)
        wizard.action_set()
        partner = (partner or self.partner).commercial_partner_id
        return self.Loss.search([("partner_id", "=", partner.id)], limit=1)


@tagged("post_install", "-at_install")
class TestLosing(LeavingCommon):
    def test_lose(self):
        self._create_invoices([(self.partner, 1000, date(2024, 6, 1))])
        self.policy._run(date(2026, 3, 18))
        card = self._get_card(self.partner)
        card.write({"revenue": 700, "previous_revenue": 1000})
        self._set_tier(self.partner, self.tier_a)
        visit = self.Visit._generate()
        other_track = self.Visit.create(
            {"partner_id": self.partner.id, "track": "executive"}
        )
        messages = self.partner.message_ids
        competitor = self._create_partner("Rival")
        loss = self._lose(note="Too expensive", competitor_id=competitor.id)
        self.assertRecordValues(
            loss,
            [
                {
                    "partner_id": self.partner.id,
                    "company_id": self.company.id,
                    "partner_user_id": self.rep.id,
                    "tier_id": self.tier_a.id,
                    "reason_id": self.price.id,
                    "date": TODAY,
                    "competitor_id": competitor.id,
                    "note": "Too expensive",
                    "date_win_back": False,
                    "user_id": self.rep.id,
                    "revenue": 1000,
                    "state": "lost",
                    "date_returned": False,
                }
            ],
        )
        for closed in visit | other_track:
            self.assertEqual(closed.state, "cancelled")
            self.assertEqual(closed.close_reason, "Account lost: Price")
            self.assertFalse(closed.date_resume)
            self.assertFalse(closed.activity_id)
        self.assertTrue(card.is_lost)
        self.assertEqual(card.lost_date, TODAY)
        self.assertFalse(card.next_visit_date)
        self.assertFalse(self.Visit._generate())
        self.assertEqual(self.partner.message_ids, messages, "nothing is told")
        self.assertEqual(loss.display_name, "Customer, Mar 18")

    def test_partner_fields(self):
        partner = self.partner.with_user(self.rep)
        self.assertFalse(partner.key_account_is_lost)
        domain = [("id", "in", self.partner.ids)]
        search = self.env["res.partner"].with_user(self.rep).search
        lost = [("key_account_is_lost", "=", True)]
        self.assertFalse(search(domain + lost))
        self._lose(date=TODAY - 15 * DAY)
        self.assertTrue(partner.key_account_is_lost)
        self.assertEqual(partner.key_account_lost_date, date(2026, 3, 3))
        contact = partner.create({"name": "Buyer", "parent_id": partner.id})
        self.assertTrue(contact.key_account_is_lost)
        for found, condition in (
            (partner, lost),
            (partner.browse(), [("key_account_is_lost", "=", False)]),
            (partner.browse(), [("key_account_is_lost", "!=", True)]),
            (partner, [("key_account_lost_date", "=", "2026-03-03")]),
            (partner, [("key_account_lost_date", "!=", False)]),
            (partner.browse(), [("key_account_lost_date", "<", "2026-03-03")]),
        ):
            self.assertEqual(search(domain + condition), found, condition)
        partner.action_key_account_return()
        self.assertFalse(partner.key_account_is_lost)
        self.assertFalse(search(domain + lost))
        self.assertTrue(search([*domain, ("key_account_is_lost", "=", False)]))

    def test_contact_stands_for_its_company(self):
        contact = self.env["res.partner"].create(
            {"name": "Buyer", "parent_id": self.partner.id}
        )
        self.assertEqual(self._lose(contact).partner_id, self.partner)
        self.assertEqual(
            contact.action_open_key_account_loss()["context"]["default_partner_id"],
            self.partner.id,
        )
        action = contact.action_view_key_account_losses()
        self.assertEqual(self.Loss.search(action["domain"]).partner_id, self.partner)
        contact.with_user(self.rep).action_key_account_return()
        self.assertFalse(self._get_card(self.partner).is_lost)

    def test_without_account(self):
        partner = self._create_partner("Prospect")
        self.assertFalse(self._get_card(partner))
        loss = self._lose(partner, date_win_back=TODAY + DAY)
        self.assertTrue(self._get_card(partner).is_lost)
        self.assertEqual(loss.revenue, 0)
        self.assertEqual(self._get_planned(partner).date_due, TODAY + DAY)

    def test_refused(self):
        for message, values in (
            ("lost in the future", {"date": TODAY + DAY}),
            ("before the loss", {"date_win_back": TODAY - DAY}),
        ):
            with self.assertRaisesRegex(ValidationError, message), self.cr.savepoint():
                self._lose(**values)
        self._lose()
        with self.assertRaisesRegex(UserError, "Customer is lost already"):
            self._lose()
        archived = self._create_partner("Archived", active=False)
        with self.assertRaisesRegex(UserError, "Archived is archived"):
            self._lose(archived)
        company = self._create_company("Elsewhere")
        foreign = self._create_partner("Foreign", company_id=company.id)
        self.rep.company_ids += company
        with self.assertRaises(AccessError):
            self._open_wizard(foreign)
        wizards = self.env["key.account.loss.set"].with_user(self.rep)
        wizards = wizards.with_context(allowed_company_ids=(self.company | company).ids)
        with self.assertRaisesRegex(UserError, "is a customer of Elsewhere"):
            wizards.create(
                {"partner_id": foreign.id, "reason_id": self.price.id}
            ).action_set()
        with (
            self.assertRaises(UniqueViolation),
            mute_logger("odoo.sql_db"),
            self.cr.savepoint(),
        ):
            self.Loss.create(
                {"partner_id": self.partner.id, "reason_id": self.price.id}
            )

    def test_form(self):
        form = Form(
            self.env["key.account.loss.set"]
            .with_user(self.rep)
            .with_context(default_partner_id=self.partner.id)
        )
        self.assertEqual(form.date, TODAY)
        form.reason_id = self.price
        form.date_win_back = TODAY + 30 * DAY
        form.save().action_set()
        self.assertTrue(self._get_card(self.partner).is_lost)
        loss = self.Loss.search([("partner_id", "=", self.partner.id)])
        with Form(loss.with_user(self.manager)) as form:
            form.note = "They went bankrupt"

    def test_day_of_the_user(self):
        self.rep.tz = "Pacific/Auckland"
        with freeze_time("2026-03-18 20:00:00"):
            # there it is the 19th already
            loss = self._lose(date=date(2026, 3, 19))
            self.assertEqual(loss.date, date(2026, 3, 19))
            self.manager.tz = "UTC"
            loss.with_user(self.manager).action_return()
            self.assertEqual(loss.date_returned, date(2026, 3, 19))

    def test_companies_are_apart(self):
        company = self._create_company("Elsewhere")
        line = self.cadence.copy({"company_id": company.id, "tier_id": False})
        elsewhere = self.partner.with_company(company)
        elsewhere.visit_interval_days = 7
        self.Card._ensure(self.partner.ids, company)
        visit = self.Visit._generate(self.partner, company)
        self.assertEqual(visit.cadence_id, line)
        self._lose()
        self.assertEqual(visit.state, "planned")
        self.assertFalse(self._get_card(self.partner, company).is_lost)
        self.assertFalse(elsewhere.with_company(company).key_account_is_lost)
        self.env["key.account.plan.revision"]._close_outdated(company)
        self.assertEqual(visit.state, "planned")
        loss = self.Loss.create(
            {
                "partner_id": self.partner.id,
                "reason_id": self.price.id,
                "company_id": company.id,
            }
        )
        self.assertEqual(visit.state, "cancelled")
        loss.action_return()
        self.assertTrue(self._get_card(self.partner).is_lost)
        self.assertTrue(self._get_planned_in(company))

    def _get_planned_in(self, company):
        return self.Visit.search(
            [("company_id", "=", company.id), ("state", "=", "planned")]
        )

    def test_bad_return(self):
        loss = self._lose()
        with self.assertRaisesRegex(ValidationError, "come back before it was lost"):
            loss.date_returned = TODAY - DAY
        loss.date_returned = TODAY
        self.assertEqual(loss.state, "returned")

    def test_contact_is_replaced(self):
        other = self._create_partner("Other")
        contact = self.env["res.partner"].create(
            {"name": "Buyer", "parent_id": other.id}
        )
        self.Card._ensure(other.ids, self.company)
        loss = self._lose()
        loss.partner_id = contact
        self.assertEqual(loss.partner_id, other)
        self.assertFalse(self._get_card(self.partner).is_lost)
        self.assertTrue(self._get_card(other).is_lost)
        loss.unlink()
        self.assertFalse(self._get_card(other).is_lost)

    def test_account_that_becomes_a_contact(self):
        loss = self._lose()
        parent = self._create_partner("Parent")
        self.partner.write({"is_company": False, "parent_id": parent.id})
        self.assertEqual(loss.state, "returned")
        self.assertEqual(loss.partner_id, self.partner, "history stays")

    def test_reason_in_use(self):
        loss = self._lose()
        with self.assertRaisesRegex(UserError, "Price is in use .* archive it"):
            self.price.unlink()
        self.price.active = False
        loss.action_return()
        with self.assertRaisesRegex(UserError, "in use"):
            self.price.unlink()
        self.env.ref("crm_key_account.churn_reason_service").unlink()

    def test_tier_in_use(self):
        loss = self._lose()
        loss.tier_id = self.tier_b
        with self.assertRaisesRegex(UserError, "in use"):
            self.tier_b.unlink()

    def test_new_salesperson(self):
        loss = self._lose()
        self.assertFalse(loss.with_user(self.rep2).has_access("read"))
        self.partner.user_id = self.rep2
        self.env.invalidate_all()
        self.assertTrue(loss.with_user(self.rep2).has_access("read"))
        self.assertFalse(loss.with_user(self.rep).has_access("read"))
        self.rep2.unlink()
        self.env.invalidate_all()
        self.assertFalse(loss.partner_user_id)
        self.assertTrue(loss.with_user(self.rep).has_access("read"), "nobody's now")

    def test_deleted_customer(self):
        loss = self._lose()
        self.partner.unlink()
        self.assertFalse(loss.exists())

    def test_uninstall(self):
        self._lose(date_win_back=TODAY + DAY)
        uninstall_hook(self.env)
        self.assertFalse(self.Loss.search([]))
        self.price.unlink()

    def test_uninstall_takes_favorites_along(self):
        """Those that would end in an error; and what the database says of columns."""
        vals = {"model_id": "res.partner", "user_ids": self.rep.ids}
        by_tier = "[('account_tier_id', '!=', False)]"
        favorites = self.env["ir.filters"].create(
            [
                {**vals, "name": "Mine", "domain": "[('user_id', '=', uid)]"},
                {**vals, "name": "Key accounts", "domain": by_tier, "active": False},
                {**vals, "name": "By level", "context": "{'a': 'relationship_level'}"},
                {**vals, "name": "All", "model_id": "key.account"},
            ]
        )
        uninstall_hook(self.env)
        self.assertEqual(favorites.exists(), favorites[0])
        keys = [("module.name", "=", "crm_key_account"), ("type", "=", "f")]
        self.assertFalse(self.env["ir.model.constraint"].search(keys))


@tagged("post_install", "-at_install")
class TestWinBack(LeavingCommon):
    def test_planned_at_once(self):
        self._create_done(self.partner, TODAY - DAY)
        day = TODAY + timedelta(days=90)  # 16 June, a Tuesday; beyond the horizon
        self._lose(date=TODAY - 15 * DAY, date_win_back=day)
        visit = self._get_planned(self.partner)
        self.assertEqual(visit.date_due, day)
        self.assertEqual(visit.date_planned, day)
        self.assertEqual(visit.summary, "Win back; lost Mar 3 (Price)")
        self.assertEqual(visit.activity_id.summary, visit.summary)
        self.assertEqual(visit.user_id, self.rep)
        self.assertEqual(self._get_card(self.partner).next_visit_date, day)

    def test_language(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        self.rep.lang = "fr_FR"
        self.price.with_context(lang="fr_FR").name = "Prix"
        self._lose(date=TODAY - 15 * DAY, date_win_back=TODAY)
        summary = self._get_planned(self.partner).summary
        self.assertIn("3 mars", summary)
        self.assertIn("Prix", summary)

    def test_today_and_past(self):
        self._lose(date=TODAY - 15 * DAY, date_win_back=TODAY)
        self.assertEqual(self._get_planned(self.partner).date_planned, TODAY)
        late = self._create_partner("Late")
        self._lose(late, date=TODAY - 15 * DAY, date_win_back=TODAY - 15 * DAY)
        visit = self._get_planned(late)
        self.assertEqual(visit.date_due, TODAY - 15 * DAY)
        self.assertEqual(visit.date_planned, TODAY)

    def test_without_planning_the_night_does_it(self):
        self.company.key_account_planning = False
        self._lose(date_win_back=TODAY + DAY)
        self.assertFalse(self._get_planned(self.partner))
        self.assertEqual(self.Visit._generate().date_due, TODAY + DAY)
        self.assertFalse(self.Visit._generate())

    def test_horizon(self):
        self.company.key_account_planning = False
        day = TODAY + 20 * DAY
        self._lose(date_win_back=day)
        self.assertFalse(self.Visit._generate())
        self.assertEqual(self.Visit._generate(today=TODAY + 6 * DAY).date_due, day)

    def test_other_tracks_rest(self):
        self._create_cadence(self.tier_a, 1, "day", "contact")
        self._create_cadence(self.tier_a, 1, "day", "executive")
        self._create_done(self.partner, TODAY - 15 * DAY)
        self._lose(date_win_back=TODAY + DAY)
        self.Visit._generate()
        visits = self.Visit.search(
            [("partner_id", "=", self.partner.id), ("state", "=", "planned")]
        )
        self.assertEqual(visits.mapped("track"), ["visit"])

    def test_any_line_will_do(self):
        self._set_tier(self.partner, self.tier_c)
        self._lose(date_win_back=TODAY + DAY)
        self.assertEqual(self._get_planned(self.partner).cadence_id, self.cadence)
        self.env["key.account.plan.revision"]._close_outdated(self.company)
        self.assertEqual(self._get_planned(self.partner).cadence_id, self.cadence)

    def test_no_line_at_all(self):
        self.cadence.active = False
        self._lose(date_win_back=TODAY + DAY)
        self.assertFalse(self._get_planned(self.partner))

    def test_done(self):
        self._lose(date_win_back=TODAY)
        visit = self._get_planned(self.partner)
        visit.with_user(self.rep).action_done("They think about it")
        self.assertFalse(self._get_planned(self.partner), "still lost")
        self.assertFalse(self.Visit._generate())
        self.assertFalse(self.Visit._generate(today=TODAY + 400 * DAY))

    def test_done_early(self):
        """A Saturday: the visit is planned for Friday, and done before even that."""
        saturday = date(2026, 3, 28)
        self._lose(date_win_back=saturday)
        visit = self._get_planned(self.partner)
        self.assertEqual(visit.date_planned, date(2026, 3, 27))
        with freeze_time("2026-03-26 09:00:00"):
            visit.action_done()
            self.assertFalse(self._get_planned(self.partner))
            self.assertFalse(self.Visit._generate(today=date(2026, 4, 1)))

    def test_on_a_route(self):
        """On the day that somebody named, a trip is made for it."""
        self.cadence.on_route = True
        self._lose(date_win_back=TODAY + DAY)
        visit = self._get_planned(self.partner)
        self.assertEqual(visit.date_planned, TODAY + DAY)
        self.env["key.account.plan.revision"]._close_off_route(self.company)
        self.assertEqual(visit.state, "planned")
        self.partner.action_key_account_return()
        self.assertFalse(self._get_planned(self.partner), "as the cadence says")

    def test_another_visit_in_time_will_do(self):
        self.company.key_account_planning = False
        day = TODAY - 5 * DAY
        self._lose(date=TODAY - 15 * DAY, date_win_back=day)
        done = self._create_done(self.partner, day - DAY)
        self.assertTrue(self.Visit._generate(), "before it")
        self._get_planned(self.partner).unlink()
        self.assertEqual(done.state, "done")
        self._create_done(self.partner, day)
        self.assertFalse(self.Visit._generate(), "on it")

    def test_cancelled(self):
        self._lose(date_win_back=TODAY + DAY)
        visit = self._get_planned(self.partner)
        later = TODAY + 10 * DAY
        visit.with_user(self.rep).action_cancel(later, "Nobody there")
        again = self.Visit._generate()
        self.assertEqual(again.date_due, later)
        self.assertEqual(again.summary, "Win back; lost Mar 18 (Price)")
        again.with_user(self.rep).action_cancel(TODAY, "Perhaps at once")
        self.assertEqual(self.Visit._generate().date_due, TODAY + DAY, "not earlier")

    def test_cancelled_before_the_loss(self):
        visit = self.Visit.create({"partner_id": self.partner.id})
        visit.action_cancel(TODAY + 60 * DAY)
        self._lose(date_win_back=TODAY + DAY)
        self.assertEqual(self._get_planned(self.partner).date_due, TODAY + DAY)

    def test_cancelled_activity(self):
        self._lose(date_win_back=TODAY + DAY)
        self._get_planned(self.partner).activity_id.unlink()
        self.assertEqual(self.Visit._generate().date_due, TODAY + 8 * DAY)

    def test_outdated(self):
        visit = self.Visit._generate()
        visit.date_due = TODAY
        # past the wizard, as a restored backup might be
        loss = self._lose(date_win_back=TODAY + DAY)
        win_back = self._get_planned(self.partner)
        lost = self._create_partner("Lost")
        self._set_tier(lost, self.tier_a)
        stray = self.Visit._generate(lost)
        self.cr.execute(
            """
            INSERT INTO key_account_loss
                   (partner_id, company_id, reason_id, date, state)
            VALUES (%s, %s, %s, %s, 'lost')
            """,
            [lost.id, self.company.id, self.price.id, TODAY],
        )
        # another tier, another line: the win-back visit stays all the same
        self._set_tier(self.partner, self.tier_c)
        self.cadence.active = False
        self._create_cadence(self.tier_b, 1, "week")
        self.Visit._generate()
        self.assertEqual(win_back.state, "planned")
        self.assertEqual(win_back.loss_id, loss)
        self.assertEqual(stray.state, "cancelled")
        self.assertEqual(stray.close_reason, "Account lost: Price")

    def test_moved_by_hand_stays(self):
        self._lose(date_win_back=TODAY + DAY)
        visit = self._get_planned(self.partner)
        visit.with_user(self.rep).date_planned = TODAY + 3 * DAY
        self.Visit._generate()
        self.assertEqual(visit.state, "planned")
        self.partner.with_user(self.rep).action_key_account_return()
        self.assertEqual(visit.state, "planned")

    def test_by_hand(self):
        self._lose()
        visit = self.Visit.create({"partner_id": self.partner.id})
        self.Visit._generate()
        self.assertEqual(visit.state, "planned", "who wants to go, goes")
        with self.assertRaises(AccessError):
            visit.with_user(self.rep).loss_id = self.Loss.search([], limit=1)

    def test_archived_customer(self):
        self._lose(date_win_back=TODAY + DAY)
        visit = self._get_planned(self.partner)
        self.partner.active = False
        self.assertEqual(visit.state, "cancelled")
        self.assertFalse(self.Visit._generate())
        self.partner.active = True
        self.assertEqual(self.Visit._generate().date_due, TODAY + DAY)

    def test_salesperson_leaves(self):
        self._lose(date_win_back=TODAY + DAY)
        self.rep.active = False
        visit = self._get_planned(self.partner)
        self.assertEqual(visit.user_id, self.leader)
        self.assertTrue(visit.loss_id)

    def test_statements(self):
        """As many for 50 lost accounts as for a few."""
        self.company.key_account_planning = False
        partners = self.partner.union(
            *(self._create_partner(f"Customer {n}") for n in range(50))
        )
        self.Loss.create(
            [
                {
                    "partner_id": partner.id,
                    "reason_id": self.price.id,
                    "date_win_back": TODAY + DAY,
                }
                for partner in partners
            ]
        )

        def count(some):
            for _ in range(2):
                self.env.flush_all()
                self.env.invalidate_all()
                before = self.cr.sql_log_count
                self.env["key.account.due"]._refresh(self.company, some.ids, [])
                plans = self.env["key.account.planner"]._get_plans(
                    self.company, ["visit"], some.ids, []
                )
                self.assertEqual(len(plans), len(some))
                result = self.cr.sql_log_count - before
            return result

        self.assertLessEqual(count(partners), count(partners[:1]))


@tagged("post_install", "-at_install")
class TestComingBack(LeavingCommon):
    def test_return(self):
        self._create_done(self.partner, TODAY - 2 * DAY)
        loss = self._lose(date=TODAY - DAY, date_win_back=TODAY + 30 * DAY)
        win_back = self._get_planned(self.partner)
        self.partner.with_user(self.rep).action_key_account_return()
        self.assertEqual(loss.state, "returned")
        self.assertEqual(loss.date_returned, TODAY)
        self.assertEqual(loss.returned_user_id, self.rep)
        self.assertEqual(win_back.state, "cancelled")
        self.assertEqual(win_back.close_reason, "The customer came back")
        visit = self._get_planned(self.partner)
        self.assertEqual(visit.date_due, TODAY + 5 * DAY, "by the cadence")
        self.assertFalse(visit.loss_id)
        self.assertIn("last visit Mar 16", visit.summary)
        card = self._get_card(self.partner)
        self.assertFalse(card.is_lost)
        self.assertFalse(card.lost_date)
        with self.assertRaisesRegex(UserError, "isn't lost"):
            self.partner.with_user(self.rep).action_key_account_return()
        with self.assertRaisesRegex(UserError, "come back already"):
            loss.with_user(self.rep).action_return()

    def test_again(self):
        first = self._lose()
        self.partner.action_key_account_return()
        second = self._lose()
        self.assertNotEqual(first, second)
        self.assertTrue(self._get_card(self.partner).is_lost)
        self.partner.action_key_account_return()
        third = self.Loss.search([("partner_id", "=", self.partner.id)])
        self.assertEqual(set(third.mapped("state")), {"returned"})

    def test_day_to_come_back_was_for_winning_back(self):
        self._create_done(self.partner, TODAY - 2 * DAY)
        self._lose(date_win_back=TODAY + DAY)
        self._get_planned(self.partner).action_cancel(TODAY + 100 * DAY)
        self.partner.action_key_account_return()
        self.assertEqual(self._get_planned(self.partner).date_due, TODAY + 5 * DAY)

    def test_without_planning(self):
        self.company.key_account_planning = False
        self._lose()
        self.partner.action_key_account_return()
        self.assertFalse(self._get_planned(self.partner))
        self.assertTrue(self.Visit._generate())

    def test_archived_customer_comes_back(self):
        self._lose()
        self.partner.active = False
        self.partner.with_user(self.rep).action_key_account_return()
        self.assertFalse(self._get_card(self.partner).is_lost)

    def _merge(self, target, source):
        wizard = self.env["base.partner.merge.automatic.wizard"].create({})
        wizard._merge((target | source).ids, target)
        self.env.invalidate_all()

    def test_merge_lost_into_living(self):
        source = self._create_partner("Lost", user_id=self.rep2.id)
        loss = self._lose(source, self.manager, date_win_back=TODAY + 40 * DAY)
        self._merge(self.partner, source)
        self.assertEqual(loss.partner_id, self.partner)
        self.assertEqual(loss.state, "returned")
        self.assertEqual(loss.date_returned, TODAY)
        self.assertEqual(loss.partner_user_id, self.rep)
        self.assertFalse(self._get_card(self.partner).is_lost)
        self.Visit._generate()
        self.assertFalse(self._get_planned(self.partner).loss_id)

    def test_merge_living_into_lost(self):
        source = self._create_partner("Living")
        self._set_tier(source, self.tier_a)
        loss = self._lose()
        self._merge(self.partner, source)
        self.assertEqual(loss.state, "lost")
        self.assertTrue(self._get_card(self.partner).is_lost)

    def test_merge_both_lost(self):
        source = self._create_partner("Lost as well")
        own, other = self._lose(), self._lose(source)
        competitor = self._create_partner("Rival")
        rival = self._create_partner("Rival again")
        other.competitor_id = rival
        self._merge(self.partner, source)
        self._merge(competitor, rival)
        self.assertEqual((own | other).partner_id, self.partner)
        self.assertEqual(own.state, "lost")
        self.assertEqual(other.state, "returned")
        self.assertEqual(other.competitor_id, competitor)
        self.assertEqual(self._get_card(self.partner).lost_date, TODAY)

    def test_merge_into_a_customer_without_account(self):
        target = self._create_partner("New record")
        self._lose()
        self._merge(target, self.partner)
        self.assertFalse(self._get_card(target).is_lost)


@tagged("post_install", "-at_install")
class TestLeavingRights(LeavingCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.internal = cls._create_user("ka_internal", "base.group_user")
        cls.portal = cls._create_user("ka_portal", "base.group_portal")
        cls.other_company = cls._create_company("Other Company")
        cls.foreigner = cls._create_user(
            "ka_foreigner", SALES_ADMIN, company=cls.other_company
        )
        cls.others = cls._create_partner("Account of a colleague", user_id=cls.rep2.id)
        cls.nobodys = cls._create_partner("Nobody's account", user_id=False)
        cls.partners = cls.partner | cls.others | cls.nobodys
        cls._set_tier(cls.partners, cls.tier_a)

    def _lose_all(self):
        return self.Loss.create(
            [
                {"partner_id": partner.id, "reason_id": self.price.id}
                for partner in self.partners
            ]
        )

    def test_read(self):
        losses = self._lose_all()
        for user, partners in (
            (self.rep, self.partner | self.nobodys),
            (self.rep2, self.others | self.nobodys),
            (self.leader, self.partners),
            (self.manager, self.partners),
            (self.foreigner, self.env["res.partner"]),
        ):
            found = self.Loss.with_user(user).with_context(
                allowed_company_ids=user.company_ids.ids
            )
            found = found.search([("id", "in", losses.ids)])
            self.assertEqual(found.sudo().partner_id, partners, user.login)
        for user in (self.internal, self.portal):
            with self.assertRaises(AccessError):
                self.Loss.with_user(user).search([])
        card = self._get_card(self.others).with_user(self.rep)
        self.assertFalse(card.has_access("read"))
        self.assertFalse(self.others.with_user(self.rep).key_account_is_lost)

    def test_fields_are_hidden_outside_sales(self):
        names = {
            "account_value_type",
            "key_account_is_lost",
            "key_account_lost_date",
        }
        for user in (self.internal, self.portal):
            visible = self.env["res.partner"].with_user(user).fields_get()
            self.assertFalse(names & visible.keys(), user.login)
            for name in names:
                with self.assertRaises(AccessError):
                    self.partner.with_user(user).read([name])

    def test_write(self):
        loss = self._lose_all()[0]
        for user in (self.rep, self.leader, self.internal, self.portal):
            records = loss.with_user(user)
            for operation in ("write", "create", "unlink"):
                self.assertFalse(records.has_access(operation), user.login)
            with self.assertRaises(AccessError):
                records.note = "Mine"
        managed = loss.with_user(self.manager)
        for operation in ("create", "unlink"):
            self.assertFalse(managed.has_access(operation))
        reason = self.env.ref("crm_key_account.churn_reason_service")
        managed.write(
            {"note": "Talk", "reason_id": reason.id, "competitor_id": self.others.id}
        )
        for values in (
            {"date": TODAY - DAY},
            {"date_returned": TODAY},
            {"date_win_back": TODAY},
            {"partner_id": self.others.id},
            {"revenue": 1},
            {"note": "Talk", "user_id": self.rep.id},
            {"state": "returned"},
        ):
            with self.assertRaisesRegex(AccessError, "only reason, competitor"):
                managed.write(values)

    def test_wizard(self):
        for user in (self.internal, self.portal):
            with self.assertRaises(AccessError):
                self._open_wizard(self.nobodys, user)
        with self.assertRaisesRegex(AccessError, "is an account of ka_rep2"):
            self._lose(self.others)
        self.assertFalse(self.Loss.search([("partner_id", "=", self.others.id)]))
        contact = self.env["res.partner"].create(
            {"name": "Buyer", "parent_id": self.others.id, "user_id": self.rep.id}
        )
        with self.assertRaisesRegex(AccessError, "is an account of ka_rep2"):
            self._lose(contact)
        wizard = self._open_wizard()
        self.assertFalse(wizard.with_user(self.rep2).has_access("read"))
        with self.assertRaises(AccessError):
            wizard.with_user(self.manager).action_set()
        for partner, user in (
            (self.partner, self.rep),
            (self.nobodys, self.rep),
            (self.others, self.leader),
        ):
            self.assertEqual(self._lose(partner, user).user_id, user)

    def test_wizard_of_another_company(self):
        context = {"allowed_company_ids": self.other_company.ids}
        wizards = self.env["key.account.loss.set"].with_user(self.foreigner)
        wizards = wizards.with_context(**context)
        values = {"partner_id": self.partner.id, "reason_id": self.price.id}
        wizards.create(values).action_set()
        loss = self.Loss.search(
            [
                ("partner_id", "=", self.partner.id),
                ("company_id", "=", self.other_company.id),
            ]
        )
        self.assertEqual(loss.company_id, self.other_company)
        self.assertFalse(self._get_card(self.partner).is_lost)
        self.partner.company_id = self.company
        self.env.invalidate_all()
        loss.with_context(**context).action_return()
        with self.assertRaises(AccessError):
            wizards.create(values).action_set()

    def test_return(self):
        own, others, nobodys = self._lose_all()
        elsewhere = {"allowed_company_ids": self.other_company.ids}
        for user in (self.internal, self.portal, self.rep):
            with self.assertRaises(AccessError):
                self.others.with_user(user).action_key_account_return()
            with self.assertRaises(AccessError):
                others.with_user(user).action_return()
        for user in (self.internal, self.portal):
            with self.assertRaises(AccessError):
                self.nobodys.with_user(user).action_key_account_return()
        with self.assertRaises(AccessError):
            (own | others).with_user(self.rep).action_return()
        with self.assertRaises(AccessError):
            own.with_user(self.foreigner).with_context(**elsewhere).action_return()
        with self.assertRaisesRegex(UserError, "isn't lost"):
            self.partner.with_user(self.foreigner).with_context(
                **elsewhere
            ).action_key_account_return()
        self.assertEqual(set((own | others | nobodys).mapped("state")), {"lost"})
        own.with_user(self.rep).action_return()
        self.nobodys.with_user(self.rep).action_key_account_return()
        others.with_user(self.leader).action_return()
        self.assertEqual(set((own | others | nobodys).mapped("state")), {"returned"})

    def test_forged_keys(self):
        with self.assertRaises(AccessError):
            self._open_wizard(self.others).with_context(
                key_account_merge=True
            ).action_set()

    def test_leader_merges_lost_accounts(self):
        self.leader.group_ids += self.env.ref("base.group_partner_manager")
        (self.partner | self.others).email = "same@example.com"
        losses = self._lose_all()
        self.env["base.partner.merge.automatic.wizard"].with_user(self.leader).create(
            {
                "partner_ids": [Command.set((self.partner | self.others).ids)],
                "dst_partner_id": self.partner.id,
            }
        ).action_merge()
        self.assertEqual(losses[0].state, "lost")
        self.assertEqual(losses[1].state, "returned")


@tagged("post_install", "-at_install")
class TestLeavingJson2(LeavingCommon, HttpCase):
    """What an integration gets to hear."""

    def _call(self, user, model, method, **params):
        key = (
            self.env["res.users.apikeys"]
            .with_user(user)
            .sudo()
            ._generate("rpc", "test", None)
        )
        with mute_logger("odoo.http", "odoo.sql_db"):
            return self.url_open(
                f"/json/2/{model}/{method}",
                data=json.dumps(params),
                headers={
                    "Authorization": f"bearer {key}",
                    "Content-Type": "application/json",
                },
            )

    def test_refusals(self):
        internal = self._create_user("ka_internal", "base.group_user")
        others = self._create_partner("Colleague's", user_id=self.rep2.id)
        loss = self._lose(others, self.rep2)
        self.env["key.account.engagement"].create(
            {"value_type": "intrinsic", "company_id": self.company.id, "text": "Hi"}
        )
        self.env.flush_all()
        loss_vals = {"partner_id": self.partner.id, "reason_id": self.price.id}
        strategy = {"text": "Hi", "company_id": self.company.id}
        for user, model, method, params, status, words in (
            (
                self.rep,
                "res.partner",
                "action_key_account_return",
                {"ids": others.ids},
                403,
                "is an account of ka_rep2",
            ),
            (
                internal,
                "res.partner",
                "action_key_account_return",
                {"ids": others.ids},
                403,
                "Only sales",
            ),
            (
                self.rep,
                "key.account.loss",
                "action_return",
                {"ids": loss.ids},
                403,
                "",
            ),
            (
                self.rep,
                "res.partner",
                "write",
                {"ids": others.ids, "vals": {"account_value_type": "strategic"}},
                403,
                "is an account of ka_rep2",
            ),
            (
                self.manager,
                "key.account.loss",
                "create",
                {"vals_list": [loss_vals]},
                403,
                "",
            ),
            (
                self.manager,
                "key.account.loss",
                "write",
                {"ids": loss.ids, "vals": {"date_returned": "2026-03-18"}},
                403,
                "only reason, competitor and note",
            ),
            (
                self.manager,
                "key.account.engagement",
                "create",
                {"vals_list": [strategy]},
                422,
                "choose at least one of them",
            ),
            (
                self.manager,
                "key.account.engagement",
                "create",
                {"vals_list": [{**strategy, "value_type": "intrinsic"}]},
                422,
                "already: change that one",
            ),
            (
                self.manager,
                "key.account.churn.reason",
                "unlink",
                {"ids": self.price.ids},
                422,
                "archive it",
            ),
        ):
            with self.subTest(user=user.login, model=model, method=method):
                response = self._call(user, model, method, **params)
                self.assertEqual(response.status_code, status, response.text)
                self.assertIn(words, response.json()["message"])
        for method in ("_return", "_mark_returned", "_stop_visits"):
            response = self._call(
                self.manager, "key.account.loss", method, ids=loss.ids
            )
            self.assertIn(response.status_code, (403, 404), method)
