"""The report by thumb: a call is a call, nobody was there, what next with a reminder,
photos, and the day to come back."""

from base64 import b64encode
from collections import Counter
from datetime import date

from freezegun import freeze_time
from lxml import etree

from odoo import Command
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged

from ..common import TODAY, KeyAccountCommon
from ..test_rights import RightsCommon
from .test_report import ANSWERS, REPORT_VIEW, ReportCommon

PHOTO = b64encode(b"photo")
# What has no way back by the same button
ONE_WAY = {
    "action_apply",
    "action_apply_all",
    "action_done",
    "action_drop",
    "action_keep",
    "action_key_account_return",
    "action_return",
    "action_withdraw",
}


class CallCommon(ReportCommon):
    """Customers who are to be visited every week and called every month; one of them is
    to be called alone."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.call_line = cls.env["key.account.cadence"].create(
            {
                "company_id": cls.company.id,
                "track": "contact",
                "interval_unit": "month",
            }
        )
        cls.small = cls._create_partner("Small")
        cls._set_tier(cls.small, cls.tier_c)
        cls.zoe = cls.env["res.partner"].create(
            {"name": "Zoe", "parent_id": cls.small.id}
        )
        for partner in cls.partner | cls.small:
            cls.Visit.create(
                {
                    "partner_id": partner.id,
                    "state": "done",
                    "track": "contact",
                    "date_done": "2026-02-18",
                }
            )
        cls.Visit._generate()

    def setUp(self):
        super().setUp()
        self.call = self._get_planned(self.partner, "contact")
        self.small_call = self._get_planned(self.small, "contact")

    def _open_log(self, partner=None):
        """Press *Log Visit* at the customer's."""
        partner = (partner or self.partner).with_user(self.rep)
        action = partner.action_log_key_account_visit()
        visits = self.Visit.with_user(self.rep).with_context(**action["context"])
        return visits.browse(action.get("res_id", ()))


@tagged("post_install", "-at_install")
class TestCalls(CallCommon):
    def setUp(self):
        super().setUp()
        self.assertEqual(self.call.date_due, TODAY)
        self.assertEqual(self.call.mode, "phone")

    def _answer(self, mode, contact=None):
        contact = contact or self.ann
        return {**ANSWERS, "mode": mode, "contact_ids": [Command.link(contact.id)]}

    def test_call_fulfils_the_call(self):
        """Logged from the list or My Day: the customer is chosen in the dialog."""
        for mode in ("phone", "mail"):
            with self.subTest(mode=mode), self.env.cr.savepoint() as savepoint:
                action = self.Visit.with_user(self.rep).action_log()
                visits = self.Visit.with_user(self.rep).with_context(
                    **action["context"]
                )
                result = visits.action_report(
                    {
                        "partner_id": self.partner.id,
                        "state": "done",
                        "track": "visit",
                        **self._answer(mode),
                    }
                )
                done = self.Visit.search(
                    [("partner_id", "=", self.partner.id), ("date_done", "=", TODAY)]
                )
                self.assertEqual((done.track, done.mode), ("contact", mode))
                self.assertFalse(self.call.exists(), "it is the one that was due")
                self.assertEqual(done.cadence_id, self.call_line)
                self.assertEqual(
                    self._get_planned(self.partner, "contact").date_due,
                    date(2026, 4, 18),
                )
                self.assertEqual(self._get_planned(self.partner), self.visit)
                self.assertIn("Next call", result["params"]["message"])
                self.assertFalse(done.follow_up_activity_id)
                savepoint.rollback()
                self.env.invalidate_all()

    def test_log_opens_with_the_call_where_no_visit_is_due(self):
        visit = self._open_log(self.small)
        self.assertEqual(visit, self.small_call)
        with Form(visit, view=REPORT_VIEW) as form:
            self.assertEqual(form.mode, "phone")
        visit.action_report(self._answer("phone", self.zoe))
        self.assertEqual(self.small_call.state, "done")
        self.assertEqual(
            self._get_planned(self.small, "contact").date_due, date(2026, 4, 18)
        )

    def test_called_where_a_visit_is_due(self):
        """The dialog opened with the visit: it stays, with its objective."""
        self.visit.objective = "Agree on the volume"
        visit = self._open_log()
        self.assertEqual(visit, self.visit)
        # noted beforehand
        self.own_visit.write({"needs": "Quieter fans", "mode": "on_site"})
        values = {
            **self._answer("phone"),
            "attachment_ids": [Command.link(self._upload(visit).id)],
            "commitment_ids": [Command.create({"name": "Samples"})],
            "next_step_date": "2026-03-20",
        }
        result = visit.action_report(values)
        self.assertIn("The visit on Thu, Mar 19 stays planned.", self._get_text(result))
        self.assertEqual(self.visit.state, "planned")
        self.assertEqual(self.visit.mode, "on_site")
        self.assertEqual(self.visit.objective, "Agree on the volume")
        for name in (
            "attachment_ids",
            "commitment_ids",
            "contact_ids",
            "date_done",
            "needs",
            "next_step",
            "next_step_id",
            "objective_reached",
            "report_date",
        ):
            self.assertFalse(self.visit[name], name)
        done = self.Visit.search(
            [("partner_id", "=", self.partner.id), ("date_done", "=", TODAY)]
        )
        self.assertEqual((done.track, done.mode), ("contact", "phone"))
        self.assertFalse(done.objective)
        self.assertEqual(done.needs, "Quieter fans")
        self.assertEqual(done.contact_ids, self.ann)
        self.assertEqual(done.cadence_id, self.call_line)
        self.assertFalse(self.call.exists())
        self.assertEqual(len(done.attachment_ids), 1)
        self.assertEqual(
            sorted(done.commitment_ids.mapped("name")), ["Samples", "Send the offer"]
        )
        self.assertEqual(done.next_step_id.activity_id.date_deadline, date(2026, 3, 20))
        self.assertEqual(done.report_uid, self.rep)
        # sent again over a bad line
        visit.action_report(values)
        self.assertEqual(
            self.Visit.search_count(
                [("partner_id", "=", self.partner.id), ("date_done", "=", TODAY)]
            ),
            1,
        )

    def test_called_in_a_dialog_that_was_left(self):
        """A phone that rings saves what was said so far on the visit that is due."""
        visit = self._open_log()
        visit.write({"mode": "phone", "next_step": "Send the offer"})
        visit.action_report({"contact_ids": [Command.link(self.ann.id)]})
        self.assertEqual(self.visit.state, "planned")
        self.assertEqual(self.visit.mode, "on_site")
        self.assertFalse(self.visit.next_step)
        done = self.Visit.search(
            [("partner_id", "=", self.partner.id), ("date_done", "=", TODAY)]
        )
        self.assertEqual((done.track, done.mode), ("contact", "phone"))
        self.assertEqual(done.next_step, "Send the offer")
        self.assertFalse(self.call.exists())

    def _plan_by_phone(self):
        self.visit.unlink()
        self.call.unlink()
        return self.Visit.with_user(self.rep).create(
            {"partner_id": self.partner.id, "date_planned": TODAY, "mode": "phone"}
        )

    def test_planned_by_phone(self):
        """Whoever planned a visit by phone made it with a call."""
        planned = self._plan_by_phone()
        visit = self._open_log()
        self.assertEqual(visit, planned)
        self.assertEqual(Form(visit, view=REPORT_VIEW).mode, "phone")
        values = {**ANSWERS, "contact_ids": [Command.link(self.ann.id)]}
        visit.action_report(values)
        self.assertEqual((planned.state, planned.mode), ("done", "phone"))

    def test_planned_by_phone_and_visited(self):
        planned = self._plan_by_phone()
        self._open_log().action_report(self._answer("on_site"))
        self.assertEqual((planned.state, planned.mode), ("done", "on_site"))

    def test_incomplete_call_changes_nothing(self):
        visit = self._open_log()
        with self.assertRaisesRegex(UserError, "whom you met"):
            visit.action_report({"mode": "phone", "next_step": "Wait"})
        self.env.invalidate_all()
        self.assertEqual(self.visit.mode, "on_site")
        self.assertFalse(self.visit.next_step)

    def test_visited_where_a_call_is_due(self):
        visit = self._open_log(self.small)
        result = visit.action_report(self._answer("on_site", self.zoe))
        self.assertIn("The call on", self._get_text(result))
        self.assertEqual(self.small_call.state, "planned")
        done = self.Visit.search(
            [("partner_id", "=", self.small.id), ("date_done", "=", TODAY)]
        )
        self.assertEqual((done.track, done.mode), ("visit", "on_site"))

    def test_a_visit_that_was_made_by_phone_is_the_visit(self):
        """Whoever reports the planned visit itself says what became of it."""
        self.own_visit.action_report(self._answer("phone"))
        self.assertEqual((self.visit.state, self.visit.track), ("done", "visit"))
        self.assertEqual(self.call.state, "planned")

    def test_logged_for_later(self):
        visit = self._open_log()
        visit.action_report_later({"mode": "phone"})
        self.assertEqual(self.visit.state, "planned")
        self.assertFalse(self.call.exists())

    def test_at_every_door(self):
        """An import, or RPC: the track follows from how, unless it is named."""
        values = {"partner_id": self.small.id, "state": "done", "mode": "mail"}
        visits = self.Visit.with_user(self.rep).create(
            [values, {**values, "track": "visit"}, {**values, "mode": "online"}]
        )
        self.assertEqual(visits.mapped("track"), ["contact", "visit", "visit"])
        self.assertFalse(self.small_call.exists())

    def test_colleagues_call_is_left_to_its_place(self):
        action = self.small.with_user(self.rep2).action_log_key_account_visit()
        self.assertNotIn("res_id", action)

    def test_of_an_executive(self):
        """Who has an executive visit to make there made that one, and leaves the
        salesperson's as it is."""
        planned = self.Visit.create(
            {
                "partner_id": self.partner.id,
                "user_id": self.leader.id,
                "track": "executive",
                "date_planned": TODAY,
            }
        )
        theirs = self.Visit.with_user(self.leader)
        action = self.partner.with_user(self.leader).action_log_key_account_visit()
        self.assertEqual(action["res_id"], planned.id)
        # the customer is chosen in the dialog
        context = theirs.action_log()["context"]
        theirs.with_context(**context).action_report(
            {
                "partner_id": self.partner.id,
                "state": "done",
                "track": "visit",
                **self._answer("on_site"),
            }
        )
        done = self.Visit.search(
            [("partner_id", "=", self.partner.id), ("date_done", "=", TODAY)]
        )
        self.assertEqual((done.track, done.user_id), ("executive", self.leader))
        self.assertFalse(planned.exists())
        self.assertEqual(self.visit.state, "planned")

    def test_call_of_an_executive(self):
        planned = self.Visit.create(
            {
                "partner_id": self.partner.id,
                "user_id": self.leader.id,
                "track": "executive",
                "date_planned": TODAY,
            }
        )
        action = self.partner.with_user(self.leader).action_log_key_account_visit()
        visit = planned.with_user(self.leader).with_context(**action["context"])
        visit.action_report(self._answer("phone"))
        self.assertEqual(planned.state, "planned")
        self.assertEqual(self.visit.state, "planned")

    def test_on_a_form_without_a_company(self):
        """What a client empties is refused when it is saved, not before."""
        self.visit.objective = "Agree on the volume"
        values = {
            "partner_id": self.partner.id,
            "state": "done",
            "mode": "on_site",
            "company_id": False,
        }
        spec = {name: {} for name in (*values, "objective")}
        result = self.Visit.with_user(self.rep).onchange(values, ["partner_id"], spec)
        self.assertFalse(result["value"].get("objective"))

    def test_objective_of_what_is_due(self):
        """The customer is chosen in the dialog: it asks as that of the visit would."""
        self.visit.objective = "Agree on the volume"
        action = self.Visit.with_user(self.rep).action_log()
        visits = self.Visit.with_user(self.rep).with_context(**action["context"])
        form = Form(visits, view=REPORT_VIEW)
        self.assertFalse(form.objective)
        form.partner_id = self.partner
        self.assertEqual(form.objective, "Agree on the volume")
        form.mode = "phone"
        self.assertFalse(form.objective)
        form.mode = "on_site"
        form.objective_reached = "partly"
        form.contact_ids.add(self.ann)
        form.next_step = "Wait"
        visit = form.save()
        visit.action_report()
        self.assertEqual(visit.objective, "Agree on the volume")
        self.assertEqual(visit.objective_reached, "partly")
        self.assertFalse(self.visit.exists())

    def test_calls_need_not_go_well(self):
        """How a mail went isn't known yet."""
        visit = self._open_log(self.small)
        answer = self._answer("phone", self.zoe)
        del answer["objective_reached"]
        visit.action_report(answer)
        self.assertEqual(self.small_call.state, "done")

    def test_next_day_by_the_cadence(self):
        form = Form(self.own_visit, view=REPORT_VIEW)
        self.assertEqual(form.next_date_hint, "By the cadence: Wed, Mar 25")
        form.date_visited = date(2026, 3, 16)
        self.assertEqual(form.next_date_hint, "By the cadence: Mon, Mar 23")
        # a Saturday
        form = Form(self._open_log(self.small), view=REPORT_VIEW)
        self.assertEqual(form.next_date_hint, "By the cadence: Fri, Apr 17")
        # by phone it is the next call
        form = Form(self._open_log(), view=REPORT_VIEW)
        form.mode = "phone"
        self.assertEqual(form.next_date_hint, "By the cadence: Fri, Apr 17")
        # where the call is due, and it was a visit
        self.own_visit.action_cancel("2026-05-04")
        form = Form(self._open_log(), view=REPORT_VIEW)
        form.mode = "on_site"
        self.assertEqual(form.next_date_hint, "By the cadence: Wed, Mar 25")
        # planned already
        self._get_planned(self.small, "contact").with_user(self.rep).action_done()
        self.assertEqual(
            self.small_call.with_user(self.rep).next_date_hint,
            "By the cadence: Fri, Apr 17",
        )
        # as the customer's own interval says
        self.partner.with_company(self.company).visit_interval_days = 14
        form = Form(self.own_visit.browse(), view=REPORT_VIEW)
        form.partner_id = self.partner
        self.assertEqual(form.next_date_hint, "By the cadence: Wed, Apr 1")

    def test_next_day_on_which_they_receive(self):
        form = Form(self.own_visit, view=REPORT_VIEW)
        self.assertEqual(form.next_date_hint, "By the cadence: Wed, Mar 25")
        self.partner.with_company(
            self.company
        ).key_account_receiving_hours = "We,Fr; closed 2026-03-25"
        visit = self._get_planned(self.partner).with_user(self.rep)
        form = Form(visit, view=REPORT_VIEW)
        self.assertEqual(form.next_date_hint, "By the cadence: Fri, Mar 27")
        form.contact_ids.add(self.ann)
        form.outcome = "reached"
        form.next_step = "Wait"
        form.save().action_report()
        self.assertEqual(
            self._get_planned(self.partner).date_planned, date(2026, 3, 27)
        )

    def test_no_day_where_the_cadence_doesn_t_plan(self):
        self.company.key_account_planning = False
        self.assertFalse(self.own_visit.next_date_hint)

    def test_no_day_of_a_colleague(self):
        visits = self.Visit.with_user(self.rep2)
        self.partner.user_id = self.rep
        visit = visits.new({"partner_id": self.partner.id, "state": "done"})
        self.assertFalse(visit.next_date_hint)

    def _upload(self, visit, **values):
        return visit.env["ir.attachment"].create(
            {"name": "a.jpg", "datas": PHOTO, "res_model": visit._name, **values}
        )

    def _get_text(self, action):
        return action["params"]["message"]


@tagged("post_install", "-at_install")
class TestThumb(ReportCommon):
    # --- nobody -------------------------------------------------------------------

    def test_nobody(self):
        self.visit.objective = "Agree on the volume"
        self.own_visit.action_report({"is_nobody_met": True})
        self.assertEqual(self.visit.state, "done")
        self.assertTrue(self.visit.report_date)
        self.assertFalse(self.visit.follow_up_activity_id, "there is nobody to thank")
        self.assertEqual(self._get_planned(self.partner).date_due, date(2026, 3, 25))

    def test_nobody_after_all(self):
        """Contacts of a draft go; whoever was met is named again."""
        self.own_visit.contact_ids = self.ann
        self.own_visit.is_nobody_met = True
        self.assertFalse(self.visit.contact_ids)
        with self.assertRaisesRegex(ValidationError, "choose one"):
            self.own_visit.contact_ids = self.ann
        self.own_visit.write({"is_nobody_met": False, "contact_ids": self.ann.ids})
        with self.assertRaisesRegex(UserError, "how it went and the next step"):
            self.own_visit.action_report()

    def test_nobody_to_thank(self):
        self.own_visit.action_done()
        activity = self.visit.follow_up_activity_id
        self.assertTrue(activity)
        self.own_visit.action_report({"is_nobody_met": True})
        self.assertFalse(activity.exists())

    def test_nobody_and_a_draft_that_names_somebody(self):
        """What was noted beforehand says nothing of who was there."""
        for drafted, said, kept in (
            (
                {"contact_ids": [Command.set(self.ann.ids)]},
                {"is_nobody_met": True},
                (True, self.env["res.partner"]),
            ),
            (
                {"is_nobody_met": True},
                {"contact_ids": [Command.set(self.bob.ids)]},
                (False, self.bob),
            ),
        ):
            with self.subTest(said=said), self.env.cr.savepoint() as savepoint:
                self.own_visit.write(drafted)
                visit = self.Visit.with_user(self.rep).create(
                    {"partner_id": self.partner.id, "state": "done", **said}
                )
                self.assertFalse(self.visit.exists())
                self.assertEqual((visit.is_nobody_met, visit.contact_ids), kept)
                savepoint.rollback()
                self.env.invalidate_all()

    def test_nobody_in_words(self):
        self.own_visit.action_report({"is_nobody_met": True})
        planned = self._get_planned(self.partner)
        self.assertIn("Nobody", planned.with_user(self.rep).brief)

    # --- how did it go ------------------------------------------------------------

    def test_objective_reached_only_where_there_is_one(self):
        with self.assertRaisesRegex(UserError, "say: how it went"):
            self.own_visit.action_report({**self.answers, "objective_reached": False})
        self.visit.objective = "Agree on the volume"
        with self.assertRaisesRegex(UserError, "whether you reached the objective"):
            self.own_visit.action_report({**self.answers, "objective_reached": False})

    def test_how_it_went(self):
        form = Form(self.own_visit, view=REPORT_VIEW)
        form.contact_ids.add(self.ann)
        form.outcome = "partly"
        form.next_step = "Wait"
        form.save()
        self.assertEqual(self.visit.objective_reached, "partly")
        self.own_visit.action_report()
        self.assertEqual(self.visit._get_result_text(), "So-so")
        self.visit.objective = "Agree on the volume"
        self.assertFalse(self.visit.outcome)
        self.assertEqual(self.visit._get_result_text(), "Partly")

    def test_how_it_went_is_part_of_the_report(self):
        self._report()
        self.partner.user_id = self.rep2
        with self.assertRaisesRegex(AccessError, "is by ka_rep"):
            self.visit.with_user(self.rep2).outcome = "not_reached"

    # --- what next ----------------------------------------------------------------

    def test_reminder(self):
        self._report(next_step_date=date(2026, 3, 20))
        commitment = self.visit.next_step_id
        self.assertEqual(commitment.name, "Send the offer")
        self.assertEqual(self.visit.commitment_ids, commitment)
        activity = commitment.activity_id
        self.assertEqual(activity.summary, "Send the offer")
        self.assertEqual(activity.date_deadline, date(2026, 3, 20))
        self.assertEqual(activity.user_id, self.rep)
        # corrected: one reminder, which follows
        self.own_visit.next_step = "Send the price list"
        self.assertEqual(activity.summary, "Send the price list")
        self.own_visit.next_step_date = date(2026, 3, 23)
        self.assertEqual(activity.date_deadline, date(2026, 3, 23))
        self.own_visit.write(
            {"next_step": "Send both", "next_step_date": date(2026, 3, 24)}
        )
        self.assertEqual(self.visit.commitment_ids, commitment)
        self.assertEqual(activity.summary, "Send both")
        # moved in Odoo's own list, it is moved here
        activity.with_user(self.rep).date_deadline = date(2026, 3, 25)
        self.assertEqual(self.visit.next_step_date, date(2026, 3, 25))
        self.own_visit.next_step_date = False
        self.assertFalse(commitment.exists())
        self.assertFalse(activity.exists())
        self.assertEqual(self.visit.next_step, "Send both")

    def test_reminder_in_a_form(self):
        with Form(self.own_visit, view=REPORT_VIEW) as form:
            form.contact_ids.add(self.ann)
            form.outcome = "reached"
            form.next_step = "Send the offer"
            form.next_step_date = date(2026, 3, 20)
        self.assertFalse(self.visit.next_step_id.activity_id, "a draft")
        self.own_visit.action_report()
        self.assertTrue(self.visit.next_step_id.activity_id)

    def test_reminder_of_a_new_visit(self):
        self.visit.action_cancel("2026-05-04")
        values = {
            "partner_id": self.partner.id,
            "next_step_date": "2026-03-20",
            **self.answers,
        }
        visits = self.Visit.with_user(self.rep)
        for _ in range(2):
            visits.action_report(values)
        commitment = self.env["key.account.commitment"].search(
            [("partner_id", "=", self.partner.id)]
        )
        self.assertEqual(commitment.name, "Send the offer")
        self.assertEqual(commitment.activity_id.date_deadline, date(2026, 3, 20))
        self.assertEqual(commitment.visit_id.next_step_id, commitment)

    def test_reminder_that_was_kept(self):
        self._report(next_step_date=date(2026, 3, 20))
        kept = self.visit.next_step_id
        kept.action_keep()
        self.own_visit.write(
            {"next_step": "Ask for an answer", "next_step_date": date(2026, 3, 20)}
        )
        self.assertEqual(kept.name, "Send the offer")
        self.assertEqual(self.visit.next_step_id, kept)
        self.own_visit.next_step_date = date(2026, 3, 27)
        self.assertEqual(self.visit.next_step_id.name, "Ask for an answer")
        self.assertEqual(len(self.visit.commitment_ids), 2)

    def test_reminder_without_words(self):
        with self.assertRaisesRegex(ValidationError, "has no words"):
            self.own_visit.next_step_date = date(2026, 3, 20)
        self.assertFalse(self.visit.commitment_ids)

    def test_reminder_of_a_cancelled_visit(self):
        self.own_visit.write(
            {"next_step": "Send the offer", "next_step_date": "2026-03-20"}
        )
        self.own_visit.action_cancel()
        self.assertEqual(self.visit.next_step_id.state, "dropped")

    def test_reminder_of_a_draft_that_a_logged_visit_takes(self):
        self.own_visit.write(
            {"next_step": "Send the offer", "next_step_date": "2026-03-20"}
        )
        commitment = self.visit.next_step_id
        visit = self.Visit.with_user(self.rep).create(
            {"partner_id": self.partner.id, "state": "done"}
        )
        self.assertFalse(self.visit.exists())
        self.assertEqual(visit.next_step_id, commitment.with_user(self.rep))
        self.assertTrue(commitment.activity_id)

    def test_reminder_is_the_author_s(self):
        self._report(next_step_date=date(2026, 3, 20))
        self.partner.user_id = self.rep2
        for values in (
            {"next_step_date": "2026-03-21"},
            {"next_step_id": self.visit.next_step_id.id},
        ):
            with self.assertRaises(AccessError):
                self.visit.with_user(self.rep2).write(values)
        with self.assertRaises(AccessError):
            self.own_visit.next_step_id = False

    # --- photos and files ---------------------------------------------------------

    def _upload(self, visit, **values):
        return visit.env["ir.attachment"].create(
            {"name": "a.jpg", "datas": PHOTO, "res_model": visit._name, **values}
        )

    def test_photo(self):
        photo = self._upload(self.own_visit)
        self._report(attachment_ids=[Command.link(photo.id)])
        self.assertEqual(photo.res_id, self.visit.id)
        self.assertEqual(self.own_visit.attachment_ids, photo)
        self.assertEqual(self.visit.message_attachment_count, 1)
        second = self._upload(self.own_visit, res_id=self.visit.id)
        self.own_visit.attachment_ids = [Command.link(second.id)]
        self.assertEqual(len(self.own_visit.attachment_ids), 2)
        self.own_visit.attachment_ids = [Command.unlink(photo.id)]
        self.assertFalse(photo.exists())
        self.assertTrue(second.exists())

    def test_photo_of_a_new_visit(self):
        self.visit.action_cancel("2026-05-04")
        visits = self.Visit.with_user(self.rep)
        photo = self._upload(visits)
        visits.action_report(
            {
                "partner_id": self.partner.id,
                "attachment_ids": [Command.link(photo.id)],
                **self.answers,
            }
        )
        visit = self.Visit.browse(photo.res_id)
        self.assertEqual((visit.partner_id, visit.state), (self.partner, "done"))
        self.env.invalidate_all()
        self.assertEqual(visit.attachment_ids, photo.with_user(self.env.user))

    def test_photo_goes_along(self):
        """A logged visit takes the place of the planned one, files included."""
        self._upload(self.own_visit, res_id=self.visit.id)
        visit = self.Visit.with_user(self.rep).create(
            {"partner_id": self.partner.id, "state": "done"}
        )
        self.assertEqual(len(visit.attachment_ids), 1)

    def test_files_of_others(self):
        """Nobody takes a file from another document, or one that somebody else is about
        to upload."""
        foreign = self._upload(self.visit.with_user(self.rep2))
        with self.assertRaises(AccessError):
            self.own_visit.attachment_ids = [Command.link(foreign.id)]
        other = self._upload(
            self.own_visit, res_model="res.partner", res_id=self.partner.id
        )
        with self.assertRaisesRegex(ValidationError, "another document"):
            self.own_visit.attachment_ids = [Command.link(other.id)]
        self.assertEqual(other.res_id, self.partner.id)

    def test_files_are_the_author_s(self):
        photo = self._upload(self.own_visit)
        self._report(attachment_ids=[Command.link(photo.id)])
        self.partner.user_id = self.rep2
        with self.assertRaisesRegex(AccessError, "is by ka_rep"):
            self.visit.with_user(self.rep2).attachment_ids = [Command.unlink(photo.id)]
        self.assertTrue(photo.exists())

    def test_pages_of_visits_read_files_at_once(self):
        visits = self.Visit.search([("partner_id", "=", self.partner.id)])
        more = visits.create(
            [
                {
                    "partner_id": self._create_partner(f"C{number}").id,
                    "user_id": self.rep.id,
                }
                for number in range(20)
            ]
        )
        counts = []
        for group in (visits[:1], visits | more):
            self.env.flush_all()
            self.env.invalidate_all()
            group.mapped("date_done")
            before = self.cr.sql_log_count
            group.mapped("attachment_ids")
            group.mapped("next_step_date")
            group.mapped("outcome")
            counts.append(self.cr.sql_log_count - before)
        self.assertLessEqual(counts[1], counts[0])

    # --- customers to log ---------------------------------------------------------

    def test_own_customers_first(self):
        later = self._create_partner("Later", city="Leeds")
        self.Card._ensure(later.ids, self.company)
        colleague = self._create_partner("Colleague", user_id=self.rep2.id)
        self.Card._ensure(colleague.ids, self.company)
        rows = self.Visit.with_user(self.rep).get_log_customers()
        self.assertEqual(
            rows,
            [
                {"id": self.partner.id, "name": "Customer", "city": ""},
                {"id": later.id, "name": "Later", "city": "Leeds"},
            ],
        )
        later.active = False
        self.assertEqual(len(self.Visit.with_user(self.rep).get_log_customers()), 1)


@tagged("post_install", "-at_install")
class TestComeBack(ReportCommon):
    """Cancelling with a day to come back plans that day at once, and says so."""

    def _cancel(self, visit=None, user=None, **values):
        visit = visit or self.visit
        user = user or self.rep
        action = visit.with_user(user).action_open_cancel()
        wizard = (
            self.env[action["res_model"]]
            .with_user(user)
            .with_context(**action["context"])
            .create(values)
        )
        return wizard.action_cancel()

    def test_that_day(self):
        self.visit.objective = "Agree on the volume"
        result = self._cancel(date_resume="2026-05-05", reason="On leave")
        self.assertEqual(self.visit.state, "cancelled")
        planned = self._get_planned(self.partner)
        self.assertEqual(planned.date_planned, date(2026, 5, 5))
        self.assertEqual(planned.date_due, date(2026, 5, 5))
        self.assertEqual(planned.cadence_id, self.cadence)
        self.assertEqual(planned.objective, "Agree on the volume")
        self.assertEqual(planned.user_id, self.rep)
        self.assertEqual(planned.activity_id.date_deadline, date(2026, 5, 5))
        params = result["params"]
        self.assertIn("Cancelled. Next visit:", params["message"])
        self.assertEqual(params["links"][0]["label"], "Tue, May 5")
        self.assertEqual(params["next"], {"type": "ir.actions.act_window_close"})
        # the night changes nothing
        self.assertFalse(self.Visit._generate())
        self.assertEqual(self._get_planned(self.partner), planned)

    def test_one_tap(self):
        for delay, day in (
            ("day", date(2026, 3, 19)),
            ("week", date(2026, 3, 25)),
            ("weeks", date(2026, 4, 1)),
            ("month", date(2026, 4, 18)),
        ):
            form = Form(
                self.env["key.account.visit.cancel"]
                .with_user(self.rep)
                .with_context(default_visit_id=self.visit.id)
            )
            self.assertEqual(form.date_resume, date(2026, 3, 26))
            form.delay = delay
            self.assertEqual(form.date_resume, day)
            form.date_resume = date(2026, 6, 1)
            self.assertEqual(form.save().date_resume, date(2026, 6, 1))

    def test_not_on_a_day_off(self):
        """A Saturday or Sunday: the next working day, never one before."""
        for day in ("2026-05-02", "2026-05-03"):
            with self.subTest(day=day):
                result = self._cancel(self._get_planned(self.partner), date_resume=day)
                planned = self._get_planned(self.partner)
                self.assertEqual(planned.date_planned, date(2026, 5, 4))
                self.assertEqual(result["params"]["links"][0]["label"], "Mon, May 4")

    def test_tomorrow_is_not_today(self):
        with freeze_time("2026-03-20 09:00:00"):
            self._cancel(delay="day")
            planned = self._get_planned(self.partner)
            self.assertEqual(planned.date_planned, date(2026, 3, 23))

    def test_not_while_they_are_closed(self):
        self.partner.with_company(
            self.company
        ).key_account_receiving_hours = "Tu-Fr; closed 2026-12-24/2027-01-05"
        result = self._cancel(date_resume="2026-12-28")
        planned = self._get_planned(self.partner)
        self.assertEqual(planned.date_planned, date(2027, 1, 6))
        self.assertFalse(planned.is_not_received)
        self.assertIn("Jan 6", result["params"]["links"][0]["label"])

    def test_not_on_a_leave(self):
        self.env["resource.calendar.leaves"].create(
            {
                "name": "Away",
                "calendar_id": self.company.resource_calendar_id.id,
                "date_from": "2026-05-01 00:00:00",
                "date_to": "2026-05-08 22:00:00",
            }
        )
        self._cancel(date_resume="2026-05-06")
        planned = self._get_planned(self.partner)
        self.assertEqual(planned.date_planned, date(2026, 5, 11))

    def test_somebody_is_there_before(self):
        """The cadence goes on from that visit, as before."""
        self._cancel(date_resume="2026-06-01")
        self.Visit.with_user(self.rep).create(
            {"partner_id": self.partner.id, "state": "done"}
        )
        with freeze_time("2026-03-19 09:00:00"):
            self.assertEqual(
                self._get_planned(self.partner).date_due, date(2026, 3, 25)
            )

    def test_without_a_cadence(self):
        """Nothing asks for it but whoever cancelled."""
        partner = self._create_partner("Without a tier")
        visit = self.Visit.create({"partner_id": partner.id, "user_id": self.rep.id})
        self._cancel(visit, date_resume="2026-03-30")
        planned = self._get_planned(partner)
        self.assertEqual(planned.date_planned, date(2026, 3, 30))
        self.assertEqual(planned.user_id, self.rep)

    def test_on_a_route(self):
        """The night leaves it there, though nobody is near on that day."""
        self.cadence.on_route = True
        self._cancel(self._get_planned(self.partner), date_resume="2026-03-30")
        planned = self._get_planned(self.partner)
        self.assertEqual(planned.date_planned, date(2026, 3, 30))
        self.Visit._generate(company=self.company)
        self.assertEqual(self._get_planned(self.partner), planned)
        self.assertEqual(planned.date_planned, date(2026, 3, 30))

    def test_where_nothing_plans(self):
        """Who names a day comes back on that day; nobody has to name one."""
        self.company.key_account_planning = False
        wizards = self.env["key.account.visit.cancel"].with_user(self.rep)
        form = Form(wizards.with_context(default_visit_id=self.visit.id))
        self.assertFalse(form.date_resume)
        form.date_resume = date(2026, 3, 30)
        result = form.save().action_cancel()
        planned = self._get_planned(self.partner)
        self.assertEqual(planned.date_planned, date(2026, 3, 30))
        self.assertEqual(planned.user_id, self.rep)
        self.assertEqual(result["params"]["links"][0]["label"], "Mon, Mar 30")
        result = self._cancel(planned)
        self.assertFalse(self._get_planned(self.partner))
        self.assertIn("No next visit is planned.", result["params"]["message"])

    def test_full_day(self):
        """A person's word goes before the capacity."""
        self.company.key_account_daily_capacity = 1
        other = self._create_partner("Other")
        self.Visit.create(
            {
                "partner_id": other.id,
                "user_id": self.rep.id,
                "date_planned": "2026-03-27",
            }
        )
        self._cancel(date_resume="2026-03-27")
        self.assertEqual(
            self._get_planned(self.partner).date_planned, date(2026, 3, 27)
        )

    def test_lead(self):
        lead = self.env["crm.lead"].create(
            {"name": "Deal", "user_id": self.rep.id, "company_id": self.company.id}
        )
        visit = self.Visit.create({"lead_id": lead.id, "user_id": self.rep.id})
        self._cancel(visit, date_resume="2026-03-30")
        planned = self.Visit.search(
            [("lead_id", "=", lead.id), ("state", "=", "planned")]
        )
        self.assertEqual(planned.date_planned, date(2026, 3, 30))

    def test_from_the_report(self):
        arch = self.Visit.get_view(self.env.ref(REPORT_VIEW).id)["arch"]
        self.assertIn('name="action_open_cancel"', arch)


@tagged("post_install", "-at_install")
class TestThumbRights(RightsCommon):
    def test_reports_of_colleagues(self):
        visits = {visit.partner_id: visit for visit in self.visits}
        foreign = visits[self.others].with_user(self.rep)
        for values in (
            {"is_nobody_met": True},
            {"next_step": "x", "next_step_date": "2031-01-01"},
            {"outcome": "reached"},
            {"attachment_ids": [Command.clear()]},
        ):
            with self.subTest(values=values), self.assertRaises(AccessError):
                foreign.write(values)
        with self.assertRaises(AccessError):
            foreign.action_open_cancel()
        self.assertFalse(
            {row["id"] for row in foreign.browse().get_log_customers()}
            & set(self.others.ids)
        )

    def test_outside_sales(self):
        for user in (self.internal, self.portal):
            with self.assertRaises(AccessError):
                self.Visit.with_user(user).get_log_customers()

    def test_another_company(self):
        rows = (
            self.Visit.with_user(self.foreigner)
            .with_context(allowed_company_ids=self.foreigner.company_ids.ids)
            .get_log_customers()
        )
        self.assertFalse({row["id"] for row in rows} & set(self.partners.ids))


@tagged("post_install", "-at_install")
class TestDoneAsks(KeyAccountCommon):
    def test_one_tap_asks(self):
        """What has no way back asks, wherever it is one tap."""
        ours = self.env["ir.model.data"].search(
            [("module", "=", "crm_key_account"), ("model", "=", "ir.ui.view")]
        )
        views = self.env["ir.ui.view"].browse(ours.mapped("res_id"))
        asked = Counter()
        for view in views:
            for node in etree.fromstring(view.arch).iter("a", "button"):
                name = node.get("name")
                if node.get("type") == "object" and name in ONE_WAY:
                    with self.subTest(view=view.xml_id, button=name):
                        self.assertTrue(node.get("confirm"))
                    asked[name] += 1
        self.assertEqual(set(asked), ONE_WAY)
        # list, card and form
        self.assertEqual(asked["action_done"], 4)

    def test_no_card_is_done_by_a_drag(self):
        """Grouped by its status a card could be dragged to another one, which asks
        nothing."""
        views = self.env["ir.ui.view"].search(
            [("model", "=", "key.account.visit"), ("type", "=", "kanban")]
        )
        self.assertGreaterEqual(len(views), 2)
        for view in views:
            for node in etree.fromstring(view.arch).xpath("//field[@name='state']"):
                with self.subTest(view=view.name):
                    self.assertEqual(node.get("readonly"), "1")
