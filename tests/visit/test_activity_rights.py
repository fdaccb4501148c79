from datetime import timedelta

from freezegun import freeze_time

from odoo import Command
from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from ..common import SALES, SALES_ADMIN, SALES_ALL, TODAY, KeyAccountCommon


@tagged("post_install", "-at_install")
class TestActivityRights(KeyAccountCommon):
    """An activity of a visit is as private as the visit: it is read by those who read
    the visit, and handled by those who may write it, or are to do it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.startClassPatcher(freeze_time("2026-03-18 09:00:00"))
        cls.other_company = cls._create_company("Other Company")
        cls.foreigners = cls.env["res.users"].union(
            *(
                cls._create_user(f"ka_foreign_{number}", group, cls.other_company)
                for number, group in enumerate((SALES, SALES_ALL, SALES_ADMIN))
            )
        )
        cls.internal = cls._create_user(
            "ka_internal", "base.group_user,base.group_partner_manager"
        )
        cls.account = cls._create_partner("Kestrel")
        cls.others = cls._create_partner("Hobby", user_id=cls.rep2.id)
        cls.lead = cls.env["crm.lead"].create(
            {
                "name": "Merlin",
                "user_id": cls.rep.id,
                "company_id": False,
                "team_id": False,
            }
        )
        cls.visit = cls._plan(partner_id=cls.account.id, user_id=cls.rep.id)
        cls.unassigned = cls._plan(partner_id=cls.others.id, user_id=False)
        cls.lead_visit = cls._plan(lead_id=cls.lead.id, user_id=cls.rep.id)
        cls.done = cls._plan(
            partner_id=cls.account.id,
            user_id=cls.rep.id,
            state="done",
            track="executive",
        )
        cls.commitment = cls.env["key.account.commitment"].create(
            {
                "visit_id": cls.done.id,
                "name": "Samples",
                "date_deadline": TODAY + timedelta(days=4),
                "user_id": cls.rep.id,
            }
        )
        tasks = cls.env["key.account.visit.task"]
        tasks._create_follow_ups(cls.done)
        cls.done.is_manager_needed = True
        tasks._notify_managers(cls.done)
        cls.activities = (
            cls.visit | cls.unassigned | cls.lead_visit | cls.done
        ).task_ids
        cls.env.flush_all()

    @classmethod
    def _plan(cls, **values):
        return cls.Visit.create(
            {
                "company_id": cls.company.id,
                "date_planned": TODAY,
                "summary": "Our reason",
                **values,
            }
        )

    def _as(self, records, user):
        self.env.flush_all()
        self.env.invalidate_all()
        return records.with_user(user).with_context(
            allowed_company_ids=user.company_ids.ids
        )

    def test_every_role_has_its_company(self):
        self.assertEqual(
            set(self.activities.mapped("key_account_role")),
            {"visit", "commitment", "follow_up", "support"},
        )
        self.assertEqual(self.activities.key_account_company_id, self.company)
        self.lead_visit.user_id = False
        self.lead_visit.company_id = self.other_company
        self.assertEqual(
            self.lead_visit.task_ids.key_account_company_id, self.other_company
        )

    def test_who_reads(self):
        """The same as the visits, and one's own."""
        support = self.done.support_activity_id
        unassigned = self.unassigned.task_ids
        for user, seen in (
            (self.rep, self.activities - unassigned),
            (self.rep2, unassigned),
            (self.leader, self.activities),
            (self.manager, self.activities),
            (self.internal, self.activities.browse()),
            *((user, self.activities.browse()) for user in self.foreigners),
        ):
            with self.subTest(user=user.login):
                activities = self._as(self.activities, user)
                self.assertEqual(activities._filtered_access("read"), seen)
                self.assertEqual(
                    activities.search([("id", "in", self.activities.ids)]), seen
                )
        support.user_id = self.rep2
        self.assertIn(support, self._as(support, self.rep2)._filtered_access("read"))

    def test_who_handles(self):
        calls = (
            lambda a: a.write({"date_deadline": "2026-04-01"}),
            lambda a: a.write({"user_id": a.env.uid}),
            lambda a: a.action_feedback("Mine"),
            lambda a: a.action_done(),
            lambda a: a.action_feedback_schedule_next(),
            lambda a: a.action_reschedule_today(),
            lambda a: a.unlink(),
            lambda a: a.unlink_w_meeting(),
            lambda a: a.action_report_key_account_visit(),
            lambda a: a.env["calendar.event"].create(
                {
                    "name": "Mine",
                    "start": "2026-03-20 09:00:00",
                    "stop": "2026-03-20 10:00:00",
                    "activity_ids": [Command.set(a.ids)],
                }
            ),
        )
        for user in (self.internal, self.rep2, *self.foreigners):
            for activity in self._as(self.visit.task_ids | self.done.task_ids, user):
                for call in calls:
                    with (
                        self.subTest(user=user.login, activity=activity.id),
                        self.assertRaises(AccessError),
                    ):
                        call(activity)
        self.assertEqual(self.visit.state, "planned")
        self.assertEqual(self.commitment.state, "open")
        self.assertFalse(self.visit.calendar_event_id)

    def test_who_reads_but_may_not_write_the_visit(self):
        """Core lets whoever writes the customer write its activities."""
        rule = self.env["ir.rule"].create(
            {
                "name": "Nobody moves visits",
                "model_id": self.env["ir.model"]._get_id("key.account.visit"),
                "domain_force": "[(0, '=', 1)]",
                "perm_read": False,
            }
        )
        self.assertTrue(rule)
        activity = self._as(self.visit.task_ids, self.leader)
        self.assertTrue(activity.has_access("read"))
        self.assertFalse(activity.has_access("write"))
        self.assertFalse(activity.has_access("unlink"))

    def test_nobody_links_an_activity(self):
        """Not by a value, nor by a default of the context or of one's own."""
        values = {
            "key_account_role": "visit",
            "key_account_visit_id": self.visit.id,
            "key_account_company_id": self.company.id,
        }
        defaults = self.env["ir.default"].with_user(self.rep2)
        for name, value in values.items():
            defaults.set("mail.activity", name, value, user_id=True)
        activities = self._as(self.env["mail.activity"], self.rep2)
        own = {
            "res_model_id": self.env["ir.model"]._get_id("res.partner"),
            "res_id": self.others.id,
            "user_id": self.rep2.id,
        }
        context = {f"default_{name}": value for name, value in values.items()}
        for activity in (
            activities.create(own),
            activities.create({**own, **values}),
            activities.with_context(**context).create(own),
        ):
            activity.write(values)
            activity = activity.sudo()
            self.assertFalse(activity.key_account_role)
            self.assertFalse(activity.key_account_visit_id)
            self.assertFalse(activity.key_account_company_id)

    def test_an_activity_stays_with_its_visit(self):
        """Carried to another customer, the visit would stay here."""
        activity = self._as(self.visit.activity_id, self.visit.user_id)
        lead_model = self.env["ir.model"]._get_id("crm.lead")
        for vals in (
            {"res_id": self.others.id},
            {"res_model_id": lead_model, "res_id": self.lead.id},
        ):
            with self.assertRaisesRegex(UserError, "belongs to the visit"):
                activity.write(vals)
        activity.write({"res_id": activity.res_id, "date_deadline": TODAY})
        self.assertEqual(self.visit.date_planned, TODAY)

    def test_who_is_to_do_it_does_it(self):
        """Also without the right to the visit: a colleague's, or a sponsor's."""
        support = self.done.support_activity_id
        support.user_id = self.rep2
        self._as(support, self.rep2).action_feedback("Helped")
        self.assertFalse(support.active)
        self.visit.user_id = self.internal
        self._as(self.visit.activity_id, self.internal).action_feedback("Was there")
        self.assertEqual(self.visit.state, "done")

    def test_nobody_outside_is_told_that_there_is_one(self):
        """By the customer or the lead, whatever the path."""
        for user, record in (
            (self.internal, self.account),
            (self.rep2, self.account),
            *((user, self.account) for user in self.foreigners),
            (self.foreigners[1], self.lead),
            (self.foreigners[2], self.lead),
        ):
            records = self._as(record, user)
            activity = self.activities.filtered(
                lambda a, record=record: (
                    a.res_model == record._name and a.res_id == record.id
                )
            )
            for condition in (
                ("activity_ids", "!=", False),
                ("activity_ids", "in", activity.ids),
                ("activity_ids.summary", "ilike", "reason"),
                ("activity_ids", "any", [("summary", "ilike", "reason")]),
                ("activity_summary", "ilike", "reason"),
                ("activity_user_id", "=", self.rep.id),
                ("activity_user_id", "!=", False),
                ("activity_state", "in", ["today", "planned", "overdue"]),
                ("activity_state", "!=", False),
                ("activity_date_deadline", ">", "2000-01-01"),
                ("activity_type_id", "in", activity.activity_type_id.ids),
            ):
                with self.subTest(user=user.login, condition=condition):
                    self.assertFalse(
                        records.search([("id", "=", record.id), condition])
                    )
            self.assertTrue(
                records.search([("id", "=", record.id), ("activity_state", "=", False)])
            )
            self.assertTrue(
                records.search([("id", "=", record.id), ("activity_ids", "=", False)])
            )
            values = records.read(
                [
                    "activity_ids",
                    "activity_state",
                    "activity_summary",
                    "activity_type_icon",
                    "activity_type_id",
                    "activity_user_id",
                ]
            )[0]
            values.pop("id")
            self.assertFalse(any(values.values()), values)
            groups = records.formatted_read_group(
                [("id", "=", record.id)], ["activity_state"], ["__count"]
            )
            self.assertEqual([group["activity_state"] for group in groups], [False])
        for user, record in ((self.rep, self.account), (self.leader, self.lead)):
            records = self._as(record, user)
            for condition in (
                ("activity_ids", "!=", False),
                ("activity_ids", "in", self.activities.ids),
                ("activity_state", "in", ["today"]),
                ("activity_state", "!=", False),
            ):
                self.assertEqual(
                    records.search([("id", "=", record.id), condition]), record
                )
            groups = records.formatted_read_group(
                [("id", "=", record.id)], ["activity_state"], ["__count"]
            )
            self.assertEqual([group["activity_state"] for group in groups], ["today"])

    def test_who_is_visited_is_nobody_else_s_business(self):
        """Nor by our own lists of what belongs to a customer or a meeting."""
        self.visit.with_user(self.rep).action_schedule_meeting()
        event = self.visit.calendar_event_id
        for user, found in (
            (self.rep, True),
            (self.leader, True),
            (self.rep2, False),
            *((user, False) for user in self.foreigners),
        ):
            account = self._as(self.account, user)
            for condition in (
                ("key_account_visit_ids", "!=", False),
                ("key_account_visit_ids", "in", self.visit.ids),
                ("key_account_visit_ids.summary", "ilike", "reason"),
                ("key_account_ids", "!=", False),
            ):
                with self.subTest(user=user.login, condition=condition):
                    self.assertEqual(
                        bool(account.search([("id", "=", account.id), condition])),
                        found,
                    )
                    lead = self._as(self.lead, user)
                    self.lead.partner_id = self.account
                    path = f"partner_id.{condition[0]}"
                    if lead.has_access("read"):
                        self.assertEqual(
                            bool(
                                lead.search(
                                    [("id", "=", lead.id), (path, *condition[1:])]
                                )
                            ),
                            found,
                        )
            self.assertEqual(
                bool(
                    account.search(
                        [("id", "=", account.id), ("key_account_ids", "=", False)]
                    )
                ),
                not found,
            )
            events = self._as(event, user)
            self.assertEqual(
                bool(
                    events.search(
                        [("id", "=", event.id), ("key_account_visit_ids", "!=", False)]
                    )
                ),
                found,
            )

    def test_plain_text_stays_plain(self):
        self.account.user_id = self.rep
        visit = self._plan(
            partner_id=self.account.id,
            track="contact",
            objective="<b>3 > 2</b><img src=x onerror=alert(1)>",
        )
        self.assertIn("&lt;b&gt;3 &gt; 2", visit.activity_id.note)
        self.assertNotIn("<b>", visit.activity_id.note)
        self.assertFalse(self.visit.activity_id.note)
        visit.objective = "4 < 5"
        self.assertIn("4 &lt; 5", visit.activity_id.note)
