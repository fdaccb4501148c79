from datetime import date, datetime
from io import BytesIO

import openpyxl
from dateutil.relativedelta import relativedelta
from freezegun import freeze_time

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Command
from odoo.tests import Form, HttpCase, tagged
from odoo.tools import mute_logger

from ...models.visit import key_account_retention
from ..common import SALES_ADMIN, TODAY
from .test_my_day import MyDayCommon

DONE = date(2026, 3, 2)
LONG_AGO = date(2023, 3, 2)
NAME, EMAIL = "Vera Quill", "vera.quill@kestrel.example"
ERASED = "A contact who was erased"
NOTES = ("feedback", "needs", "next_step", "next_theme", "objections", "support_needed")


class PrivacyCommon(MyDayCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.partner = cls._create_partner("Kestrel")
        cls.contact = cls._create_contact(NAME, EMAIL)
        cls.colleague = cls._create_contact("Otto Reed", "otto@kestrel.example")
        cls.contact.stance = "champion"
        cls.visit = cls._report(contact_ids=cls.contact | cls.colleague)

    @classmethod
    def _create_contact(cls, name, email, partner=None):
        return cls.env["res.partner"].create(
            {
                "name": name,
                "email": email,
                "parent_id": (partner or cls.partner).id,
                "type": "contact",
            }
        )

    @classmethod
    def _report(cls, day=DONE, partner=None, contact_ids=(), **values):
        return cls.Visit.create(
            {
                "partner_id": (partner or cls.partner).id,
                "user_id": cls.rep.id,
                "state": "done",
                "date_done": day,
                "contact_ids": [Command.set([each.id for each in contact_ids])],
                **values,
            }
        )

    def _get_figures(self):
        self.env.flush_all()
        self.env.invalidate_all()
        card = self._get_card(self.partner)
        visits = self.Visit.search([("partner_id", "=", self.partner.id)])
        return {
            "last": card.last_visit_date,
            "days": visits.mapped("date_done"),
            "states": visits.mapped("state"),
        }


@tagged("post_install", "-at_install")
@freeze_time("2026-03-18 09:00:00")
class TestExport(PrivacyCommon, HttpCase):
    def setUp(self):
        super().setUp()
        self.visit.write({"feedback": "=1+1 liked it", "needs": "Faster parts"})
        self.env["key.account.commitment"].create(
            {"visit_id": self.visit.id, "name": "Send samples", "user_id": self.rep.id}
        )
        self.env["key.account.check.in"].sudo().create(
            {
                "visit_id": self.visit.id,
                "user_id": self.rep.id,
                "date": datetime(2026, 3, 2, 8),
            }
        )
        self.criterion = self.env["key.account.relationship.criterion"].search(
            [("kind", "=", "judged")], limit=1
        )
        self.env["key.account.relationship.evidence"].create(
            {
                "partner_id": self.partner.id,
                "criterion_id": self.criterion.id,
                "note": f"{NAME} said so herself",
            }
        )
        self.manager.group_ids += self.env.ref("base.group_allow_export")
        self.manager.group_ids += self.env.ref(
            "crm_key_account.group_use_buying_center"
        )

    def _download(self, user, contact=None):
        self.env.flush_all()
        self.authenticate(user.login, user.login)
        contact = contact or self.contact
        return self.url_open(f"/key_account/contact/{contact.id}/data")

    def _get_texts(self, response):
        """Return {title of a sheet: all that is in it}."""
        book = openpyxl.load_workbook(BytesIO(response.content))
        return {
            sheet.title: "\n".join(
                str(cell)
                for row in sheet.iter_rows(values_only=True)
                for cell in row
                if cell is not None
            )
            for sheet in book
        }

    def test_action(self):
        """A sales administrator finds it with the other actions of the form."""
        action = self.env.ref("crm_key_account.key_account_privacy_action_export")
        self.assertEqual(action.binding_view_types, "form")
        bindings = self._as(self.manager, "ir.actions.actions")
        for user, shown in ((self.manager, True), (self.rep, False)):
            bindings = self._as(user, "ir.actions.actions")
            ids = [
                each["id"] for each in bindings.get_bindings("res.partner")["action"]
            ]
            self.assertEqual(action.id in ids, shown)
        result = (
            action.with_user(self.manager)
            .with_context(active_model="res.partner", active_id=self.contact.id)
            .run()
        )
        self.assertEqual(result["url"], f"/key_account/contact/{self.contact.id}/data")

    def test_file(self):
        response = self._download(self.manager)
        self.assertEqual(response.status_code, 200)
        self.assertIn("attachment", response.headers["Content-Disposition"])
        self.assertEqual(response.headers["Cache-Control"], "no-store")
        texts = self._get_texts(response)
        for said in (NAME, EMAIL, "Champion", "Key Account Test"):
            self.assertIn(said, texts["Contact"])
        for said in ("=1+1 liked it", "Faster parts", "2026-03-02", "Otto Reed"):
            self.assertIn(said, texts["Customer Visit"])
        self.assertIn("Send samples", texts["Commitment"])
        self.assertIn("2026-03-02 08:00", texts["Check-In at a Customer"])
        self.assertIn("said so herself", texts["Relationship Evidence"])

    def test_others_are_not_in_it(self):
        stranger = self._create_contact("Ida Moss", "ida@kestrel.example")
        texts = self._get_texts(self._download(self.manager, stranger))
        self.assertEqual(set(texts), {"Contact"})

    def test_a_person_who_is_the_customer(self):
        person = self._create_partner("Lena Frost", is_company=False)
        self._report(partner=person, feedback="Wants it in blue")
        texts = self._get_texts(self._download(self.manager, person))
        self.assertIn("Wants it in blue", texts["Customer Visit"])

    def test_rights(self):
        """Only sales administrators, and only with the right to export."""
        internal = self._create_user("ka_internal", "base.group_user")
        with mute_logger("odoo.http"):
            for user in (self.rep, self.leader, internal):
                self.assertEqual(self._download(user).status_code, 403)
                with self.assertRaises(AccessError):
                    self._as(user, "res.partner").browse(
                        self.contact.id
                    ).action_export_key_account_data()
            self.manager.group_ids -= self.env.ref("base.group_allow_export")
            self.assertNotEqual(self._download(self.manager).status_code, 200)
        missing = self.env["res.partner"].create({"name": "Gone"})
        self.manager.group_ids += self.env.ref("base.group_allow_export")
        self.env.flush_all()
        missing.unlink()
        self.assertEqual(self._download(self.manager, missing).status_code, 404)

    def test_companies(self):
        """Of all companies of the reader, and of no other."""
        other = self._create_company("Other")
        self.Visit.sudo().with_company(other).create(
            {
                "partner_id": self.partner.id,
                "company_id": other.id,
                "user_id": self._create_user("ka_theirs", SALES_ADMIN, other).id,
                "state": "done",
                "date_done": DONE,
                "feedback": "Told the others",
                "contact_ids": [Command.set(self.contact.ids)],
            }
        )
        texts = self._get_texts(self._download(self.manager))
        self.assertNotIn("Told the others", texts["Customer Visit"])
        self.manager.company_ids += other
        texts = self._get_texts(self._download(self.manager))
        self.assertIn("Told the others", texts["Customer Visit"])
        self.assertIn("Other", texts["Contact"])

    def test_every_kind_is_found(self):
        """Models of customers and their links to contacts come by themselves."""
        privacy = self.env["key.account.privacy"]
        names = {model._name for model in privacy._get_subjects()}
        self.assertLessEqual(
            {
                "key.account",
                "key.account.visit",
                "key.account.check.in",
                "key.account.commitment",
                "key.account.loss",
                "key.account.plan",
                "key.account.plan.objective",
                "key.account.relationship.evidence",
                "key.account.tier.change",
            },
            names,
        )
        self.assertLessEqual(set(NOTES), set(privacy._get_texts(self.Visit)))

    def test_queries(self):
        """As many for fifty visits as for one."""

        def count():
            self.env.flush_all()
            self.env.invalidate_all()
            privacy = self.env["key.account.privacy"].with_user(self.manager)
            contact = self.contact.with_user(self.manager)
            before = self.cr.sql_log_count
            privacy._get_sheets(contact)
            return self.cr.sql_log_count - before

        count()
        few = count()
        for number in range(49):
            self._report(
                day=DONE - relativedelta(days=number), contact_ids=self.contact
            )
        self.assertLessEqual(count(), few + 3)


@tagged("post_install", "-at_install")
@freeze_time("2026-03-18 09:00:00")
class TestErase(PrivacyCommon):
    def setUp(self):
        super().setUp()
        if "privacy.lookup.wizard" not in self.env:
            self.fail("These tests need Odoo's module privacy_lookup")

    def _look_up(self, name=NAME, email=EMAIL):
        wizard = self.env["privacy.lookup.wizard"].create(
            {"name": name, "email": email}
        )
        wizard.action_lookup()
        return wizard

    def _get_lines(self, wizard, model):
        return wizard.line_ids.filtered(lambda line: line.res_model == model)

    def _delete(self, wizard, model):
        self._get_lines(wizard, model).action_unlink_all()
        self.env.flush_all()
        self.env.invalidate_all()

    def test_found(self):
        """By link, by name, by e-mail, by a part of the name at the own customer."""
        cls = type(self)
        named = self._report(day=date(2026, 2, 2), feedback=f"{NAME} was ill")
        mailed = self._report(day=date(2026, 2, 3), needs=f"Write to {EMAIL.upper()}")
        called = self._report(day=date(2026, 2, 4), objections="Ms Quill disagrees")
        other = self._create_partner("Heron")
        elsewhere = cls._report(
            day=date(2026, 2, 5), partner=other, feedback="a quill and ink"
        )
        unnamed = self._report(day=date(2026, 2, 6), feedback="Quills, Veranda")
        wizard = self._look_up()
        ids = self._get_lines(wizard, "key.account.visit").mapped("res_id")
        self.assertEqual(len(ids), len(set(ids)))
        self.assertEqual(set(ids), set((self.visit | named | mailed | called).ids))
        self.assertNotIn(elsewhere.id, ids)
        self.assertNotIn(unnamed.id, ids)
        self.assertTrue(self._get_lines(wizard, "res.partner"))

    def _track(self):
        self.env.flush_all()
        self.cr.precommit.run()

    def test_log(self):
        """Who was taken out of a report is in the log of its corrections."""
        self.visit.sudo().report_date = "2026-03-17 09:00:00"
        self._track()
        self.visit.contact_ids = self.colleague
        self._track()
        values = self.visit.message_ids.sudo().tracking_value_ids
        self.assertIn(NAME, str(values.mapped("old_value_char")))
        wizard = self._look_up()
        ids = self._get_lines(wizard, "key.account.visit").mapped("res_id")
        self.assertEqual(ids, self.visit.ids)
        self._delete(wizard, "key.account.visit")
        self.assertTrue(values.exists())
        self.assertNotIn(NAME, str(values.mapped("old_value_char")))

    def test_activities(self):
        planned = self._plan("Other", summary="x")
        planned.activity_id.note = f"<p>Ask {NAME}</p>"
        wizard = self._look_up()
        ids = self._get_lines(wizard, "key.account.visit").mapped("res_id")
        self.assertIn(planned.id, ids)
        self._delete(wizard, "key.account.visit")
        self.assertNotIn(NAME, planned.activity_id.note or "")
        self.assertEqual(planned.state, "planned")

    def test_contact_is_erased_and_visits_stay(self):
        planned = self.Visit.create(
            {
                "partner_id": self.partner.id,
                "user_id": self.rep.id,
                "date_planned": TODAY,
                "target_contact_id": self.contact.id,
            }
        )
        self.assertIn(NAME, planned.activity_id.summary)
        before = self._get_figures()
        count = len(self.visit.contact_ids)
        self._delete(self._look_up(), "res.partner")
        self.assertFalse(self.contact.exists())
        self.assertEqual(self._get_figures(), before)
        self.assertEqual(len(self.visit.contact_ids), count)
        theirs = self._as(self.rep).browse(self.visit.id)
        names = theirs.with_context(active_test=False).contact_ids.mapped("name")
        self.assertEqual(set(names), {ERASED, "Otto Reed"})
        self.assertFalse(planned.target_contact_id)
        self.assertNotIn(NAME, planned.activity_id.summary)

    def test_form_of_a_visit_is_readable_and_written(self):
        self._delete(self._look_up(), "res.partner")
        visit = self.visit.with_user(self.rep)
        with Form(visit) as form:
            form.feedback = "Still in order"
        self.assertEqual(visit.feedback, "Still in order")
        self.assertTrue(visit.with_context(active_test=False).contact_ids)

    def test_two_visits_one_who_stands_for_all(self):
        second = self._report(
            day=date(2026, 2, 2), contact_ids=self.contact | self.colleague
        )
        self._delete(self._look_up(), "res.partner")
        self._delete(self._look_up("Otto Reed", "otto@kestrel.example"), "res.partner")
        for visit in self.visit | second:
            self.assertEqual(visit.contact_ids.mapped("name"), [ERASED])
        erased = self.visit.contact_ids
        self.assertFalse(erased.active)
        self.assertFalse(erased.parent_id)
        with self.assertRaisesRegex(UserError, "was met at a visit"):
            erased.unlink()

    def test_notes_are_for_deciding(self):
        """Whoever deletes the contact leaves notes; the line of a visit takes the name
        out, and the note stays."""
        self.visit.write(
            {"feedback": f"{NAME} will decide; Ms Quill hesitates", "needs": "Speed"}
        )
        wizard = self._look_up()
        self._delete(wizard, "res.partner")
        self.assertIn(NAME, self.visit.feedback)
        self._delete(wizard, "key.account.visit")
        self.assertEqual(
            self.visit.feedback,
            "a contact who was erased will decide; Ms a contact who was erased "
            "hesitates",
        )
        self.assertEqual(self.visit.needs, "Speed")
        self.assertEqual(self.visit.state, "done")
        log = wizard.log_id
        self.assertIn("Erased from Customer Visit", log.execution_details)
        self.assertNotIn(NAME, log.execution_details)
        # a second time there is nothing to do, as with Odoo's own
        with self.assertRaises(UserError):
            self._get_lines(wizard, "key.account.visit").action_unlink()
        self.assertFalse(self._get_lines(self._look_up(), "key.account.visit"))

    def test_other_models(self):
        """What was decided about a customer isn't deleted with a stakeholder."""
        plan = self.env["key.account.plan"].create({"partner_id": self.partner.id})
        objective = self.env["key.account.plan.objective"].create(
            {
                "plan_id": plan.id,
                "name": f"Win {NAME}",
                "contact_id": self.contact.id,
            }
        )
        commitment = self.env["key.account.commitment"].create(
            {"visit_id": self.visit.id, "name": f"Call {NAME}", "user_id": self.rep.id}
        )
        wizard = self._look_up()
        self._delete(wizard, "key.account.plan.objective")
        self._delete(wizard, "key.account.commitment")
        self.assertEqual(objective.name, "Win a contact who was erased")
        self.assertFalse(objective.contact_id)
        self.assertEqual(commitment.name, "Call a contact who was erased")
        self.assertTrue(self.contact.exists())

    def test_feedback_on_the_customer(self):
        """Odoo posts what came of an activity on the customer: its lines are found."""
        visit = self._plan("Wren")
        visit.with_user(self.rep).action_done(feedback=f"Met {NAME}")
        wizard = self._look_up()
        messages = self.env["mail.message"].browse(
            self._get_lines(wizard, "mail.message").mapped("res_id")
        )
        posted = messages.filtered(
            lambda message: message.res_id == visit.partner_id.id
        )
        self.assertIn(NAME, posted.body)

    def test_a_person_who_is_the_customer(self):
        """Books and visits stay, of nobody."""
        person = self._create_partner(
            "Lena Frost",
            is_company=False,
            email="lena@frost.example",
            phone="+49 40 123",
            street="Ring 5",
        )
        visit = self._report(partner=person, feedback="Well")
        self._delete(self._look_up("Lena Frost", "lena@frost.example"), "res.partner")
        self.assertTrue(person.exists())
        self.assertFalse(person.active)
        self.assertEqual(person.name, "A customer who was erased")
        self.assertFalse(person.email or person.phone or person.street)
        self.assertEqual((visit.state, visit.date_done), ("done", DONE))
        self.assertIn("A customer who was erased", visit.display_name)

    def test_a_company_stays_refused(self):
        with self.assertRaisesRegex(UserError, "has been visited"):
            self._delete(
                self._look_up("Kestrel", "info@kestrel.example"), "res.partner"
            )

    def test_nothing_to_call_somebody_by(self):
        """Signs that regular expressions know are signs, and nobody is everybody."""
        named = self._report(day=date(2026, 2, 2), feedback="Saw A.B (Boss)* today")
        wizard = self._look_up("A.B (Boss)*", "a+b@x.example")
        ids = self._get_lines(wizard, "key.account.visit").mapped("res_id")
        self.assertEqual(ids, named.ids)
        wizard = self._look_up("?", "nobody@x.example")
        self.assertFalse(self._get_lines(wizard, "key.account.visit"))

    def test_rights(self):
        """Odoo's look-up stays the administrators'."""
        wizard = self._look_up()
        line = self._get_lines(wizard, "key.account.visit")[:1]
        for user in (self.rep, self.manager):
            with self.assertRaises(AccessError):
                line.with_user(user).action_unlink()
            with self.assertRaises(AccessError):
                self.env["key.account.privacy"].with_user(user)._erase_line(
                    line.with_user(user)
                )
        self.assertTrue(self.visit.contact_ids & self.contact)

    def test_without_the_module(self):
        """Nothing inherits from the look-up, which may not be installed."""
        dependencies = self.env["ir.module.module"].search(
            [("name", "=", "crm_key_account")]
        )
        names = dependencies.dependencies_id.mapped("name")
        self.assertNotIn("privacy_lookup", names)


@tagged("post_install", "-at_install")
@freeze_time("2026-03-18 09:00:00")
class TestRetention(PrivacyCommon):
    def setUp(self):
        super().setUp()
        self.visit.feedback = "Well"
        self.old = self._report(
            day=LONG_AGO,
            contact_ids=self.colleague,
            **dict.fromkeys(NOTES, "Old words"),
            objective="Sell",
            objective_reached="reached",
            service_speed="fast",
            service_attitude="friendly",
        )
        self.file = self.env["ir.attachment"].create(
            {
                "name": "photo.txt",
                "raw": b"x",
                "res_model": "key.account.visit",
                "res_id": self.old.id,
            }
        )
        self.env["mail.message"].create(
            {"model": self.old._name, "res_id": self.old.id, "body": "Corrected"}
        )

    def _run_night(self):
        with self.enter_registry_test_mode():
            self.env.ref("crm_key_account.ir_cron_tiering").method_direct_trigger()
        self.env.invalidate_all()

    def test_off_by_default(self):
        self.assertEqual(self.company.key_account_note_months, 0)
        self.assertEqual(self.company.key_account_judgement_months, 0)
        self._run_night()
        self.assertEqual(self.old.feedback, "Old words")
        self.assertTrue(self.file.exists())
        self.assertEqual(self.contact.stance, "champion")

    def test_settings(self):
        settings = self.env["res.config.settings"].create(
            {"key_account_note_months": 24, "key_account_judgement_months": 36}
        )
        settings.execute()
        self.assertEqual(self.company.key_account_note_months, 24)
        self.assertEqual(self.company.key_account_judgement_months, 36)
        for months in (-1, 241):
            with self.assertRaises(ValidationError):
                self.company.key_account_note_months = months

    def test_notes(self):
        self.company.key_account_note_months = 24
        before = self._get_figures()
        counts = self.env["key.account.visit.figures"].search_count([])
        self._run_night()
        for name in NOTES:
            self.assertFalse(self.old[name], name)
        self.assertFalse(self.file.exists())
        self.assertFalse(self.old.message_ids)
        self.assertEqual(self.visit.feedback, "Well")
        # what happened stays
        self.assertEqual(self._get_figures(), before)
        self.assertEqual(self.env["key.account.visit.figures"].search_count([]), counts)
        self.assertEqual(self.old.contact_ids, self.colleague)
        self.assertEqual(self.old.objective_reached, "reached")
        self.assertEqual(self.old.service_quadrant, "quality")
        self.assertEqual(self.old.objective, "Sell")

    def test_open_complaints_stay(self):
        self.company.key_account_note_months = 24
        self.old.complaint = "Late again"
        resolved = self._report(day=LONG_AGO, complaint="Wrong colour")
        resolved.sudo().write({"date_resolved": date(2023, 4, 1)})
        self._run_night()
        self.assertEqual(self.old.complaint, "Late again")
        self.assertFalse(resolved.complaint)

    def test_the_last_day_is_kept(self):
        self.company.key_account_note_months = 24
        kept = self._report(day=date(2024, 3, 18), feedback="Kept")
        gone = self._report(day=date(2024, 3, 17), feedback="Gone")
        self._run_night()
        self.assertEqual(kept.feedback, "Kept")
        self.assertFalse(gone.feedback)

    def test_per_company_and_in_batches(self):
        other = self._create_company("Other")
        partner = self._create_partner("Theirs")
        theirs = (
            self.Visit.sudo()
            .with_company(other)
            .create(
                {
                    "partner_id": partner.id,
                    "company_id": other.id,
                    "user_id": self._create_user("ka_o", SALES_ADMIN, other).id,
                    "state": "done",
                    "date_done": LONG_AGO,
                    "feedback": "Theirs",
                }
            )
        )
        self.company.key_account_note_months = 24
        more = [
            self._report(day=LONG_AGO - relativedelta(days=day), feedback="x")
            for day in range(1, 6)
        ]
        self.patch(key_account_retention, "BATCH", 2)
        self._run_night()
        self.assertEqual(theirs.feedback, "Theirs")
        self.assertFalse(any(visit.feedback for visit in more))

    def test_stances(self):
        """Of whom nobody met or changed for so long."""
        self.company.key_account_judgement_months = 24
        self.colleague.stance = "opponent"
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE res_partner SET write_date = '2023-01-01' WHERE id = ANY(%s)",
            [(self.contact | self.colleague).ids],
        )
        self.env["key.account.retention"]._delete_stances(self.company)
        # met this month, both
        self.assertEqual(self.contact.stance, "champion")
        self.visit.sudo().contact_ids = self.contact
        self.env.flush_all()
        self.env["key.account.retention"]._delete_stances(self.company)
        self.assertEqual(self.contact.stance, "champion")
        self.assertFalse(self.colleague.stance)

    def test_stances_of_shared_contacts(self):
        """Another company that keeps the account, and its judgements, keeps it."""
        other = self._create_company("Other")
        self.Card.sudo()._ensure(self.partner.ids, self.company)
        self.Card.sudo()._ensure(self.partner.ids, other)
        self.company.key_account_judgement_months = 24
        stranger = self._create_contact("Ida Moss", "ida@kestrel.example")
        stranger.stance = "neutral"
        self.env.flush_all()

        def run():
            self.env.flush_all()
            self.env.cr.execute(
                "UPDATE res_partner SET write_date = '2023-01-01' WHERE id = %s",
                [stranger.id],
            )
            self.env["key.account.retention"]._delete_stances(self.company)
            return stranger.stance

        self.assertEqual(run(), "neutral")
        other.key_account_judgement_months = 36
        self.assertEqual(run(), "neutral")
        other.key_account_judgement_months = 12
        self.assertFalse(run())

    def test_evidence(self):
        self.company.key_account_judgement_months = 24
        criterion = self.env["key.account.relationship.criterion"].search(
            [("kind", "=", "judged")], limit=1
        )
        old, new = self.env["key.account.relationship.evidence"].create(
            [
                {
                    "partner_id": self.partner.id,
                    "criterion_id": criterion.id,
                    "note": "She told me",
                    "date": day,
                }
                for day in (LONG_AGO, DONE)
            ]
        )
        retention = self.env["key.account.retention"]
        self.assertFalse(retention._delete_evidence(self.company))
        self.assertEqual((old.note, new.note), ("…", "She told me"))
        self.assertEqual((old.date, old.user_id), (LONG_AGO, self.env.user))
