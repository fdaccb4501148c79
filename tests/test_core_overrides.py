import inspect
from datetime import date
from unittest.mock import patch

from odoo import Command
from odoo.exceptions import AccessError
from odoo.sql_db import Cursor
from odoo.tests import tagged

from ..models.account.decisions import JoinedAccount
from ..models.visit import core_overrides
from .common import TODAY, KeyAccountCommon

# What core_overrides.py overrides. The steps between stand nowhere in core.
OVERRIDDEN = {
    "base.partner.merge.automatic.wizard": {"_merge"},
    "calendar.event": {"_sync_activities", "create", "unlink", "write"},
    "calendar.recurrence": {"_apply_recurrence"},
    "crm.lead": {
        "_handle_salesmen_assignment",
        "_merge_dependences",
        "action_set_lost",
        "create",
        "default_get",
        "fields_get",
        "onchange",
        "write",
    },
    "crm.lead2opportunity.partner": {"_convert_and_allocate"},
    "crm.team": {"_action_assign_leads", "_allocate_leads_deduplicate"},
    "key.account.activity.mixin": {
        "_read_group_groupby",
        "_read_group_orderby",
        "_search_activity_state",
    },
    "mail.activity": {
        "_action_done",
        "_check_access",
        "_to_store_defaults",
        "create",
        "default_get",
        "unlink",
        "unlink_w_meeting",
        "write",
    },
    "mail.thread": {"_search_message_partner_ids"},
    "res.partner": {
        "create",
        "default_get",
        "fields_get",
        "load",
        "unlink",
        "write",
    },
    "res.groups": {"write"},
    "res.users": {"action_archive", "unlink", "write"},
}


@tagged("post_install", "-at_install")
class TestCoreOverrides(KeyAccountCommon):
    """What of core the overrides rely on: where one of these fails, core has changed,
    and the override has to be thought over."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.account = cls._create_partner("Kestrel")
        cls.lead = cls.env["crm.lead"].create({"name": "Merlin", "type": "lead"})
        cls.employee = cls._create_user("ka_employee", "base.group_user")

    def _get_cores(self, model, name):
        """Return the methods that this addon's override stands in front of, the one
        that it calls first, the one that made it up last."""
        return [
            vars(cls)[name]
            for cls in type(self.env[model]).mro()
            if getattr(cls, "_module", None) != "crm_key_account" and name in vars(cls)
        ]

    def _get_core(self, model, name):
        return self._get_cores(model, name)[0]

    def _schedule(self, record, user, **values):
        return record.activity_schedule(
            "mail.mail_activity_data_todo", date(2030, 1, 7), user_id=user.id, **values
        )

    def _plan(self, partner, user):
        return self.Visit.create(
            {
                "partner_id": partner.id,
                "user_id": user.id,
                "date_planned": "2030-01-07",
            }
        )

    def test_signatures(self):
        def describe(method):
            return [
                (parameter.name, parameter.kind, parameter.default)
                for parameter in inspect.signature(method).parameters.values()
            ]

        for cls in vars(core_overrides).values():
            if getattr(cls, "__module__", None) != core_overrides.__name__:
                continue
            methods = {
                name: method
                for name, method in vars(cls).items()
                if inspect.isfunction(method) and self._get_cores(cls._name, name)
            }
            self.assertEqual(methods.keys(), OVERRIDDEN[cls._name], cls._name)
            for name, method in methods.items():
                self.assertEqual(
                    describe(method),
                    describe(self._get_cores(cls._name, name)[-1]),
                    f"{cls._name}.{name}",
                )

    def test_activities_past_their_rules(self):
        """Core searches and reads through these fields as superuser."""
        core = self.env["mail.activity.mixin"]._fields
        self.assertTrue(core["activity_ids"].bypass_search_access)
        related = {name for name, field in core.items() if field.compute_sudo}
        self.assertGreaterEqual(
            related, {"activity_summary", "activity_type_id", "activity_type_icon"}
        )
        for model in ("crm.lead", "res.partner"):
            ours = self.env[model]._fields
            self.assertFalse(ours["activity_ids"].bypass_search_access)
            for name in related:
                self.assertFalse(ours[name].compute_sudo, (model, name))

    def test_activity_states_past_the_rules(self):
        """Core's statements count the activities of visits that the user mustn't see,
        by these two methods."""
        self._plan(self.account, self.rep)
        self.env.flush_all()
        account = self.account.with_user(self.employee)
        own = [("id", "=", account.id)]

        def group():
            rows = account.formatted_read_group(own, ["activity_state"], ["__count"])
            return [row["activity_state"] for row in rows]

        planned = [*own, ("activity_state", "=", "planned")]
        self.assertFalse(account.search(planned))
        self.assertEqual(group(), [False])
        for name in ("_search_activity_state", "_read_group_groupby"):
            self.patch(type(account), name, self._get_core("res.partner", name))
        self.assertEqual(account.search(planned), account)
        self.assertEqual(group(), ["planned"])

    def test_followers_past_their_rights(self):
        """Core searches by a path over the followers as superuser."""
        account = self._create_partner("Followed")
        self._create_invoices([(account, 100, TODAY)])
        self.policy._run(TODAY)
        document = self.env["res.partner"].create({"name": "Open to all"})
        document.message_subscribe(account.ids)
        internal = self._create_user("ka_internal", "base.group_user")
        self.env.flush_all()
        for name, value in (
            ("account_tier_id", self.tier_a.id),
            ("key_account_ids.revenue", 100),
        ):
            path = f"message_partner_ids.{name}"
            with self.assertRaises(AccessError):
                document.with_user(internal).search([(path, "=", value)])
        domain = [("message_partner_ids.key_account_ids.revenue", ">=", 100)]
        for user, found in (
            (self.rep, document),
            (self.leader, document),
            (self.rep2, document.browse()),
        ):
            documents = document.with_user(user).with_context(
                allowed_company_ids=self.company.ids
            )
            self.assertEqual(
                documents.search([("id", "=", document.id), *domain]), found
            )
        # what anybody may know is found as before
        for user in internal | self.rep2:
            documents = document.with_user(user)
            for leaf in (
                ("message_partner_ids.name", "=", "Followed"),
                ("message_partner_ids", "in", account.ids),
                ("message_partner_ids", "ilike", "Follow"),
            ):
                self.assertEqual(documents.search([leaf]), document)

    def test_columns(self):
        """Core asks a field for its column to filter, sort and group by, and each field
        of conditions for these, also where it isn't stored."""
        partners = self.env["res.partner"]
        asked = []
        get_column = type(partners)._get_decision_sql

        def ask(records, alias, name):
            asked.append((name, isinstance(alias, JoinedAccount)))
            return get_column(records, alias, name)

        self.patch(type(partners), "_get_decision_sql", ask)
        for call, expected in (
            (
                lambda: partners.search([("account_tier_id", "=", self.tier_a.id)]),
                ("account_tier_id", True),
            ),
            (
                lambda: partners.search([], order="visit_interval_days", limit=1),
                ("visit_interval_days", False),
            ),
            (
                lambda: partners._read_group([], ["account_value_type"]),
                ("account_value_type", False),
            ),
        ):
            asked.clear()
            call()
            self.assertEqual(set(asked), {expected})

    def test_archived_records(self):
        """Core leaves the activities of archived customers and leads alone: those of
        their visits go with the visits."""
        for record in (self.account, self.lead):
            activity = self._schedule(record, self.rep)
            record.active = False
            self.assertEqual(activity.exists(), activity)

    def test_archived_users(self):
        """A user that is archived by the button loses all activities, and first;
        one that is archived by writing loses none."""
        activities = self._schedule(self.account, self.rep)
        activities |= self._schedule(self.account, self.rep2)
        seen = []
        write = self._get_core("res.users", "write")

        def look(users, vals):
            seen.append((vals, activities.exists()))
            return write(users, vals)

        self.patch(type(self.rep), "write", look)
        self.rep.write({"active": False})
        self.assertEqual(activities.exists(), activities)
        seen.clear()
        self._get_core("res.users", "action_archive")(self.rep2)
        self.assertEqual(seen, [({"active": False}, activities[0])])
        self.assertEqual(activities.exists(), activities[0])

    def test_deleted_users(self):
        """The database deletes what a deleted user has to do."""
        field = self.env["mail.activity"]._fields["user_id"]
        self.assertEqual(field.ondelete, "cascade")

    def test_deleted_records(self):
        """Core deletes the activities of deleted customers and leads; visits go by the
        database."""
        visit = self._plan(self.account, self.rep)
        activities = visit.activity_id | self._schedule(self.lead, self.rep)
        self.assertEqual(len(activities), 2)
        self.account.unlink()
        self.lead.unlink()
        self.assertFalse(activities.exists())
        self.assertFalse(visit.exists())

    def test_lost_leads(self):
        """Core archives a lost lead before it says that it is lost."""
        written = []
        write = type(self.lead).write

        def look(leads, vals):
            written.append(vals)
            return write(leads, vals)

        self.patch(type(self.lead), "write", look)
        self._get_core("crm.lead", "action_set_lost")(self.lead)
        archived = next(vals for vals in written if "active" in vals)
        self.assertIs(archived["active"], False)
        self.assertNotIn("probability", archived)

    def test_merged_leads(self):
        """Core hands the merged leads over before it deletes them."""
        leads = self.lead | self.lead.copy()
        merge = type(leads)._merge_dependences
        merged = []

        def look(head, opportunities):
            merged.append((head, opportunities.exists()))
            return merge(head, opportunities)

        self.patch(type(leads), "_merge_dependences", look)
        head = leads.merge_opportunity()
        self.assertEqual(merged, [(head, leads - head)])
        self.assertEqual(leads.exists(), head)

    def test_merged_customers(self):
        """Where one row can't move, core deletes all rows of the customer that goes."""
        other = self._create_company("Key Account Other")
        source = self._create_partner("Hobby")
        for company, partners in (
            (self.company, self.account | source),
            (other, source),
        ):
            self.Card._ensure(partners.ids, company)
        rows = self.Card.sudo().search(
            [("partner_id", "in", (self.account | source).ids)]
        )
        own = rows.filtered(lambda row: row.partner_id == self.account)
        self.assertEqual(len(rows), 3)
        self._get_core("base.partner.merge.automatic.wizard", "_merge")(
            self.env["base.partner.merge.automatic.wizard"],
            (self.account | source).ids,
            self.account,
            extra_checks=False,
        )
        self.assertFalse(source.exists())
        self.assertEqual(rows.exists(), own)

    def test_empty_sets(self):
        """Nothing of this addon runs on none."""
        changes = {
            "crm.lead": {"active": False, "user_id": self.rep.id},
            "crm.team": {"active": False, "user_id": self.rep.id},
            "crm.team.member": {"active": False, "user_id": self.rep.id},
            "key.account.cadence": {"interval_count": 2},
            "key.account.loss": {"note": "Nobody"},
            "res.company": {"key_account_planning": False},
            "res.partner": {
                "account_tier_id": self.tier_a.id,
                "active": False,
                "parent_id": self.account.id,
                "user_id": self.rep.id,
            },
            "res.users": {
                "active": False,
                "group_ids": [Command.clear()],
            },
        }
        calls = [
            (model, name, args)
            for model, vals in changes.items()
            for name, args in (("write", [vals]), ("unlink", []), ("create", [[]]))
        ]

        def count(method, records, args):
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            method(records, *args)
            return self.env.cr.sql_log_count - before

        for model, name, args in calls:
            records = self.env[model]
            core, ours = self._get_core(model, name), getattr(type(records), name)
            count(ours, records, args)
            with self.subTest(model=model, name=name):
                self.assertEqual(count(ours, records, args), count(core, records, args))

    def test_activities_of_users_outside_sales(self):
        """The link to a visit is sales': other activities live without it."""
        visit = self._plan(self.account, self.rep)
        self.employee.group_ids += self.env.ref("base.group_partner_manager")
        partner = self.employee.partner_id.with_user(self.employee)
        claims = {"key_account_visit_id": visit.id, "key_account_role": "visit"}
        activities = partner.with_context(
            **{f"default_{name}": value for name, value in claims.items()}
        )
        activity = self._schedule(activities, self.employee, **claims)
        self.assertFalse(activity.sudo().key_account_visit_id)
        self.assertFalse(activity.sudo().key_account_role)
        activity.date_deadline = date(2030, 1, 8)
        activity.action_feedback(feedback="Fine")
        self.assertFalse(activity.active)
        self._schedule(activities, self.employee).unlink_w_meeting()
        self.assertEqual(visit.state, "planned")

    def test_salespeople_of_leads(self):
        """Assignment writes lead by lead: at most two queries more for all of them, as
        long as nothing is planned there."""
        self.company.key_account_planning = True
        core = self._get_core("crm.lead", "write")
        ours = type(self.lead).write

        def count(write, number, at_once):
            leads = self.env["crm.lead"].create(
                [
                    {"name": f"Lead {index}", "type": "lead", "user_id": self.rep.id}
                    for index in range(number)
                ]
            )
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            for group in [leads] if at_once else leads:
                write(group, {"user_id": self.rep2.id})
            self.env.flush_all()
            return self.env.cr.sql_log_count - before

        for number, at_once in ((1, True), (50, True), (50, False)):
            count(ours, number, at_once)
            with self.subTest(number=number, at_once=at_once):
                self.assertLessEqual(
                    count(ours, number, at_once), count(core, number, at_once) + 2
                )

    def _convert(self, leads, user):
        """Convert leads in core's dialog for many, and give them to a salesperson."""
        self.env["crm.lead2opportunity.partner.mass"].with_context(
            active_model="crm.lead", active_ids=leads.ids
        ).create(
            {
                "action": "exist",
                "deduplicate": False,
                "force_assignment": True,
                "user_ids": [Command.set(user.ids)],
            }
        ).action_mass_convert()

    def test_leads_that_are_converted_together(self):
        """Core converts and assigns one by one: what is due follows once, and right."""
        self.company.key_account_planning = True
        self.policy.active = False
        self._create_policy("threshold", (1000, 100, 0))
        self.env["key.account.cadence"].create(
            {"company_id": self.company.id, "engagement_stage": "opportunity"}
        )
        leads = self.env["crm.lead"].create(
            [
                {
                    "name": f"Lead {index}",
                    "type": "lead",
                    "company_id": self.company.id,
                    "user_id": False,
                    "expected_revenue": 5000,
                }
                for index in range(3)
            ]
        )
        dues = self.env["key.account.due"]
        refreshed = []
        refresh = type(dues)._refresh_touched

        def note(self, partner_ids, lead_ids=(), companies=None):
            refreshed.append(set(lead_ids))
            return refresh(self, partner_ids, lead_ids, companies)

        self.patch(type(dues), "_refresh_touched", note)
        self._convert(leads, self.rep)
        self.assertEqual(leads.mapped("type"), ["opportunity"] * 3)
        self.assertEqual(refreshed, [set(leads.ids)])
        rows = dues.search([("lead_id", "in", leads.ids)])
        self.assertEqual(rows.lead_id, leads)
        self.assertEqual(rows.user_id, self.rep)

    def test_visited_leads_that_are_converted_together(self):
        """What is planned there goes along, at once."""
        leads = self.env["crm.lead"].create(
            [
                {
                    "name": f"Lead {index}",
                    "type": "lead",
                    "company_id": self.company.id,
                    "user_id": self.rep.id,
                }
                for index in range(3)
            ]
        )
        visits = self.env["key.account.visit"].create(
            [
                {
                    "lead_id": lead.id,
                    "company_id": self.company.id,
                    "user_id": self.rep.id,
                    "date_planned": date(2030, 1, 7),
                }
                for lead in leads[:2]
            ]
        )
        follow = self.env["key.account.visit.follow"]
        handed = []
        hand_over = type(follow)._hand_over_leads

        def note(self, leads, previous_users):
            handed.append(leads)
            return hand_over(self, leads, previous_users)

        self.patch(type(follow), "_hand_over_leads", note)
        self._convert(leads, self.rep2)
        self.assertEqual(leads.user_id, self.rep2)
        self.assertEqual(handed, [leads[:2]])
        self.assertEqual(visits.user_id, self.rep2)
        self.assertEqual(visits.activity_id.user_id, self.rep2)

    def test_teams_that_get_leads_with_duplicates(self):
        """Core merges and assigns them one by one: what is asked of ours doesn't become
        more with the leads, unless something is planned there."""
        team = self.env["crm.team"].create(
            {
                "name": "Assigned",
                "company_id": self.company.id,
                "use_leads": True,
                "crm_team_member_ids": [
                    Command.create({"user_id": user.id, "assignment_max": 600})
                    for user in self.rep | self.rep2
                ],
            }
        )
        visits = self.env["key.account.visit"]
        execute = Cursor.execute
        asked = []

        def note(cr, query, *args, **kwargs):
            if "key_account" in str(getattr(query, "code", query)):
                asked.append(query)
            return execute(cr, query, *args, **kwargs)

        def assign(number):
            team.assignment_domain = repr([("name", "=", f"One of {number}")])
            leads = self.env["crm.lead"].create(
                [
                    {
                        "name": f"One of {number}",
                        "type": "lead",
                        "company_id": self.company.id,
                        "email_from": f"{index // 2}@{number}.example.com",
                        "team_id": False,
                        "user_id": False,
                    }
                    for index in range(2 * number)
                ]
            )
            visit = visits.create(
                {
                    "lead_id": leads[-1].id,
                    "company_id": self.company.id,
                    "user_id": self.rep.id,
                    "date_planned": date(2030, 1, 7),
                }
            )
            self.env.flush_all()
            self.env.invalidate_all()
            asked.clear()
            with patch.object(Cursor, "execute", note):
                team._action_assign_leads()
                self.env.flush_all()
            left = leads.exists()
            self.assertEqual(len(left), number)
            self.assertEqual(left.team_id, team)
            self.assertIn(visit.lead_id, left)
            return len(asked)

        assign(1)
        few = assign(3)
        self.assertTrue(few)
        self.assertLessEqual(assign(15), few + 2)

    def test_activities_end_in_write_and_unlink(self):
        """Done archives, cancelled deletes, by the methods that visits follow."""
        activities = self.env["mail.activity"]
        calls = []
        for name in ("write", "unlink"):
            core = self._get_core("mail.activity", name)

            def note(self, *args, core=core, name=name):
                calls.append((name, *args))
                return core(self, *args)

            self.patch(type(activities), name, note)
        activity = self._schedule(self.account, self.employee)
        activity.action_feedback(feedback="Fine")
        self.assertFalse(activity.active)
        self.assertTrue(
            any(call[0] == "write" and call[1].get("active") is False for call in calls)
        )
        calls.clear()
        activity = self._schedule(self.account, self.employee)
        activity.unlink_w_meeting()
        self.assertIn(("unlink",), calls)

    def test_core_says_in_the_chatter_what_the_activity_says(self):
        """The summary is taken out before: everybody reads the customer's chatter."""
        activity = self._schedule(self.account, self.employee, summary="Our reason")
        activity._write_quietly({"key_account_role": "visit"})
        core = self._get_core("mail.activity", "_action_done")
        core(activity, feedback="Fine")
        self.assertIn("Our reason", self.account.message_ids[0].body)
        activity = self._schedule(self.account, self.employee, summary="Our reason")
        activity._write_quietly({"key_account_role": "visit"})
        activity._action_done(feedback="Fine")
        self.assertNotIn("Our reason", self.account.message_ids[0].body)

    def test_core_carries_meetings_to_activities(self):
        """Name and day of a meeting go to its activities, and these go with it."""
        activity = self._schedule(self.account, self.employee, summary="Our reason")
        event = self.env["calendar.event"].create(
            {
                "name": "Meeting",
                "start": "2030-01-07 09:00:00",
                "stop": "2030-01-07 10:00:00",
                "activity_ids": [Command.set(activity.ids)],
            }
        )
        event.name = "Lunch"
        self.assertEqual(activity.summary, "Lunch")
        event.start = "2030-01-09 09:00:00"
        self.assertEqual(activity.date_deadline, date(2030, 1, 9))
        event.unlink()
        self.assertFalse(activity.exists())
