from datetime import date

from odoo import Command
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import tagged

from ..common import SALES
from .test_visits import PlannedVisitCommon

FRIDAY = date(2026, 3, 20)
TYPE = "crm_key_account.mail_activity_type_visit"


@tagged("post_install", "-at_install")
class TestHandMadeActivities(PlannedVisitCommon):
    """An activity of our types that somebody makes with Odoo's own means is a visit."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.type = cls.env.ref(TYPE)
        cls.other = cls._create_partner("Other")
        cls.lead = cls.env["crm.lead"].create(
            {"name": "Deal", "user_id": cls.rep.id, "company_id": cls.company.id}
        )

    def _schedule(self, record, user=None, **values):
        user = user or self.rep
        values = {"user_id": user.id, "summary": "I go there", **values}
        return record.with_user(user).activity_schedule(TYPE, FRIDAY, **values)

    def _get_activities(self, record):
        return self.env["mail.activity"].search(
            [("res_model", "=", record._name), ("res_id", "=", record.id)]
        )

    def _check_planned(self, activity, record, **values):
        """Return the visit that the activity is, the only one of its account."""
        visit = activity.key_account_visit_id
        self.assertEqual(activity.key_account_role, "visit")
        self.assertEqual(
            (activity.res_model, activity.res_id), (record._name, record.id)
        )
        self.assertEqual(self._get_activities(record), activity)
        self.assertEqual(visit.activity_id, activity)
        self.assertEqual(visit.activity_id.summary, "I go there")
        expected = {
            "state": "planned",
            "date_planned": FRIDAY,
            "user_id": self.rep,
            "is_date_fixed": visit.is_date_fixed,
            "company_id": self.company,
            **values,
        }
        for name, value in expected.items():
            self.assertEqual(visit[name], value, name)
        return visit

    # --- doors ------------------------------------------------------------------------

    def test_dialog(self):
        wizard = self.env["mail.activity.schedule"].with_user(self.rep)
        wizard = wizard.with_context(
            active_model="res.partner",
            active_ids=self.other.ids,
            active_id=self.other.id,
            default_state="cancelled",
        ).create(
            {
                "activity_type_id": self.type.id,
                "activity_user_id": self.rep.id,
                "date_deadline": FRIDAY,
                "summary": "I go there",
                "note": "<p>Talk about <b>prices</b></p>",
            }
        )
        wizard.action_schedule_activities()
        activity = self._get_activities(self.other)
        visit = self._check_planned(activity, self.other, partner_id=self.other)
        self.assertEqual((visit.create_uid, visit.track), (self.rep, "visit"))
        self.assertEqual(visit.summary, "I go there")
        self.assertEqual(visit.objective, "Talk about *prices*")
        activity.with_user(self.rep).action_feedback(feedback="Was there")
        self.assertEqual((visit.state, visit.feedback), ("done", "Was there"))
        self.assertEqual(self._get_card(self.other).last_visit_date, date(2026, 3, 18))

    def test_planned_visit_is_moved(self):
        """At most one: the one that is planned goes to that day, and stays there."""
        meeting = self.visit.with_user(self.rep).action_schedule_meeting()
        activity = self._schedule(self.partner)
        visit = self._check_planned(
            activity, self.partner, partner_id=self.partner, is_date_fixed=True
        )
        self.assertEqual(visit, self.visit)
        self.assertFalse(self.activity.exists())
        event = self.env["calendar.event"].browse(meeting["res_id"])
        self.assertEqual(event.start.date(), FRIDAY)
        self.assertEqual(visit.calendar_event_id, event)
        self.assertEqual(event.activity_ids, activity)
        # and on: whatever happens to the activity happens to the visit
        activity.with_user(self.rep).date_deadline = date(2026, 3, 23)
        self.assertEqual(visit.date_planned, date(2026, 3, 23))
        activity.with_user(self.rep).action_feedback(feedback="Was there")
        self.assertEqual(visit.state, "done")
        self.assertEqual(self._get_planned(self.partner).date_due, date(2026, 3, 25))

    def test_again(self):
        first = self._schedule(self.other)
        visit = first.key_account_visit_id
        activity = self._schedule(self.other, summary="I go there")
        self.assertFalse(first.exists())
        self.assertEqual(self._check_planned(activity, self.other), visit)

    def test_contact(self):
        contact = self.env["res.partner"].create(
            {"name": "Ann", "parent_id": self.other.id}
        )
        visit = self._check_planned(self._schedule(contact), self.other)
        self.assertEqual(visit.target_contact_id, contact)
        self.assertFalse(self._get_activities(contact))
        address = self.env["res.partner"].create(
            {"name": "Depot", "parent_id": self.other.id, "type": "delivery"}
        )
        activity = self._schedule(address)
        self.assertEqual(self._check_planned(activity, self.other), visit)

    def test_lead(self):
        visit = self._check_planned(self._schedule(self.lead), self.lead)
        self.assertEqual((visit.lead_id, visit.partner_id.ids), (self.lead, []))
        self.lead.partner_id = self.other
        self.assertEqual(visit.partner_id, self.other)
        deal = self.lead.copy({"partner_id": self.other.id})
        self.assertEqual(self._check_planned(self._schedule(deal), self.other), visit)

    def _get_both(self):
        """Return another company, and the manager, who works there as well."""
        company = self._create_company("Elsewhere")
        self.manager.company_ids |= company
        return company, [self.company.id, company.id]

    def test_lead_of_another_company(self):
        """The visit is of the lead's company, whichever one is the current one."""
        company, ids = self._get_both()
        user = self._create_user("ka_there", SALES, company)
        lead = self.env["crm.lead"].create(
            {
                "name": "Deal",
                "partner_id": self.other.id,
                "company_id": company.id,
                "user_id": user.id,
                "team_id": False,
            }
        )
        lead = lead.with_user(self.manager).with_context(allowed_company_ids=ids)
        activity = lead.activity_schedule(TYPE, FRIDAY, user_id=user.id)
        self.assertEqual(activity.sudo().key_account_visit_id.company_id, company)

    def test_salesperson_of_another_company(self):
        """The visit to a customer of all companies is made for one of them: the one in
        which whoever goes there works, if that isn't the current one."""
        company, ids = self._get_both()
        user = self._create_user("ka_there", SALES, company)
        other = self.other.with_user(self.manager).with_context(allowed_company_ids=ids)
        activity = other.activity_schedule(TYPE, FRIDAY, user_id=self.rep.id)
        self.assertEqual(activity.sudo().key_account_visit_id.company_id, self.company)
        activity = other.activity_schedule(TYPE, FRIDAY, user_id=user.id)
        self.assertEqual(activity.sudo().key_account_visit_id.company_id, company)

    def test_made_by_a_job(self):
        """Automation rules run in the company of OdooBot."""
        company, _ids = self._get_both()
        bot = self.env.ref("base.user_root")
        bot.write({"company_ids": [Command.link(company.id)], "company_id": company.id})
        action = self.env["ir.actions.server"].create(
            {
                "name": "Welcome",
                "model_id": self.env["ir.model"]._get_id("res.partner"),
                "state": "next_activity",
                "activity_type_id": self.type.id,
                "activity_summary": "I go there",
                "activity_user_type": "specific",
                "activity_user_id": self.rep.id,
                "activity_date_deadline_range": 2,
                "activity_date_deadline_range_type": "days",
            }
        )
        action.with_env(self.env(user=bot.id, context={})).with_context(
            active_model="res.partner",
            active_id=self.other.id,
            active_ids=self.other.ids,
        ).run()
        visit = self._get_planned(self.other)
        self.assertEqual((visit.company_id, visit.user_id), (self.company, self.rep))

    def test_other_tracks(self):
        for track in ("contact", "executive"):
            activity = self.other.with_user(self.rep).activity_schedule(
                f"crm_key_account.mail_activity_type_{track}",
                FRIDAY,
                user_id=self.rep.id,
            )
            self.assertEqual(activity.key_account_visit_id.track, track)

    def test_plan(self):
        plan = self.env["mail.activity.plan"].create(
            {
                "name": "Start",
                "res_model": "res.partner",
                "template_ids": [
                    Command.create(
                        {
                            "activity_type_id": self.type.id,
                            "summary": "I go there",
                            "responsible_type": "other",
                            "responsible_id": self.rep.id,
                        }
                    )
                ],
            }
        )
        wizard = self.env["mail.activity.schedule"].with_user(self.rep)
        wizard.with_context(
            active_model="res.partner", active_ids=self.other.ids
        ).create({"plan_id": plan.id, "plan_date": FRIDAY}).action_schedule_plan()
        activity = self._get_activities(self.other)
        self._check_planned(activity, self.other)

    def test_type_that_is_changed(self):
        activity = self.other.with_user(self.rep).activity_schedule(
            "mail.mail_activity_data_todo",
            FRIDAY,
            user_id=self.rep.id,
            summary="I go there",
        )
        self.assertFalse(activity.key_account_role)
        activity.activity_type_id = self.type
        self._check_planned(activity, self.other)

    def test_many_at_once(self):
        partners = self.env["res.partner"].union(
            *(self._create_partner(f"Many {number}") for number in range(3))
        )
        activities = self._schedule(partners | self.partner)
        visits = activities.key_account_visit_id
        self.assertEqual(visits.partner_id, partners | self.partner)
        self.assertIn(self.visit, visits)
        self.assertEqual(set(visits.mapped("date_planned")), {FRIDAY})
        with self.assertRaisesRegex(UserError, "already has a planned visit"):
            self._schedule(self.other | self._create_contact(self.other))

    def _create_contact(self, account):
        return self.env["res.partner"].create(
            {"name": "Contact", "parent_id": account.id}
        )

    # --- what is none ----------------------------------------------------------------

    def test_other_documents(self):
        order = self.env["sale.order"].create({"partner_id": self.other.id})
        activity = order.activity_schedule(TYPE, FRIDAY, user_id=self.rep.id)
        self.assertFalse(activity.key_account_role)

    def test_other_types(self):
        activity = self.other.activity_schedule("mail.mail_activity_data_call", FRIDAY)
        self.assertFalse(activity.key_account_role)

    def test_outside_sales(self):
        """As without the addon: an activity like any other."""
        user = self._create_user(
            "ka_clerk", "base.group_user,base.group_partner_manager"
        )
        activity = self._schedule(self.other, user)
        self.assertFalse(activity.sudo().key_account_role)
        activity.action_feedback()
        self.assertFalse(self._get_planned(self.other))

    def test_rights(self):
        """Of whoever makes it: a colleague's visit isn't moved, and colleagues get
        none."""
        with self.assertRaisesRegex(UserError, "already has a planned visit"):
            self._schedule(self.partner, self.rep2)
        with self.assertRaises(AccessError):
            self._schedule(self.other, self.rep2, user_id=self.rep.id)
        self.assertEqual(self.visit.activity_id, self.activity)
        self._schedule(self.partner, self.leader, user_id=self.rep2.id)
        self.assertEqual(self.visit.user_id, self.rep2)

    def test_link_of_a_client(self):
        """Nobody says which visit it is."""
        activity = (
            self.env["mail.activity"]
            .with_user(self.rep2)
            .create(
                {
                    "activity_type_id": self.type.id,
                    "res_model_id": self.env["ir.model"]._get_id("res.partner"),
                    "res_id": self.other.id,
                    "user_id": self.rep2.id,
                    "key_account_visit_id": self.visit.id,
                    "key_account_role": "visit",
                }
            )
        )
        self.assertNotEqual(activity.sudo().key_account_visit_id, self.visit)

    # --- chains -----------------------------------------------------------------------

    def test_no_chain(self):
        """Our types follow themselves in no way, whoever writes it where."""
        types = self.env["mail.activity.type"]
        call, mail = types.create([{"name": "Call"}, {"name": "Mail"}])

        def link(kind, following):
            kind.triggered_next_type_id = following

        doors = {
            "trigger": lambda: link(self.type, self.type),
            "suggest": lambda: self.type.write(
                {"suggested_next_type_ids": [Command.link(self.type.id)]}
            ),
            "previous": lambda: self.type.write(
                {"previous_type_ids": [Command.link(self.type.id)]}
            ),
            "by way of others": lambda: (
                link(self.type, call),
                mail.write({"suggested_next_type_ids": [Command.link(self.type.id)]}),
                link(call, mail),
            ),
            "import": lambda: self._import(self.type),
        }
        for name, door in doors.items():
            with (
                self.subTest(name),
                self.assertRaisesRegex(ValidationError, "follow itself"),
            ):
                with self.env.cr.savepoint():
                    door()
        # what leads away from a visit may come to an end, or run in circles
        link(call, mail)
        link(mail, call)
        link(self.type, call)
        self.assertEqual(self.type.triggered_next_type_id, call)

    def _import(self, kind):
        result = kind.load(
            [".id", "triggered_next_type_id/.id"], [[str(kind.id), str(kind.id)]]
        )
        if result["messages"]:
            raise ValidationError(result["messages"][0]["message"])

    def test_no_chain_of_a_line(self):
        """Types that lines of the cadence name plan the next visit as well."""
        kind = self.env["mail.activity.type"].create({"name": "Tour"})
        self.cadence.activity_type_id = kind
        with self.assertRaisesRegex(ValidationError, "follow itself"):
            kind.triggered_next_type_id = kind
        self.cadence.activity_type_id = False
        kind.triggered_next_type_id = kind
        with self.assertRaisesRegex(ValidationError, "follow itself"):
            self.cadence.activity_type_id = kind

    def test_another_type_leads_to_a_visit(self):
        call = self.env["mail.activity.type"].create(
            {"name": "Call", "triggered_next_type_id": self.type.id}
        )
        activity = self.other.with_user(self.rep).activity_schedule(
            date_deadline=FRIDAY, activity_type_id=call.id, user_id=self.rep.id
        )
        activity.action_feedback()
        planned = self._get_planned(self.other)
        self.assertEqual(planned.activity_id, self._get_activities(self.other))

    def test_salesperson_of_own(self):
        user = self._create_user("ka_own", SALES)
        visit = self._check_planned(
            self._schedule(self.other, user), self.other, user_id=user
        )
        self.assertTrue(visit.with_user(user).has_access("write"))
