"""What a user could try by hand, over RPC or through core's own screens."""

from datetime import date, timedelta

from freezegun import freeze_time

from odoo import Command, fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import TODAY, KeyAccountCommon


@tagged("post_install", "-at_install")
class TestAttacks(KeyAccountCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.startClassPatcher(freeze_time("2026-03-18 09:00:00"))
        cls.env["key.account.cadence"].search([]).active = False
        cls.cadence = cls.env["key.account.cadence"].create(
            {"tier_id": cls.tier_a.id, "company_id": cls.company.id}
        )
        cls.partner = cls._create_partner("Own account")
        cls.other = cls._create_partner("Colleague's account", user_id=cls.rep2.id)
        cls._set_tier(cls.partner | cls.other, cls.tier_a)
        cls.Visit._generate()
        cls.visit = cls.Visit.search([("partner_id", "=", cls.partner.id)])
        cls.other_visit = cls.Visit.search([("partner_id", "=", cls.other.id)])

    def _create_lead(self, **values):
        return self.env["crm.lead"].create(
            {"name": "Lead", "company_id": self.company.id, "type": "lead", **values}
        )

    # --- what clients must not write ---------------------------------------------

    def test_foreign_activity(self):
        lead = self._create_lead(user_id=self.rep2.id)
        activity = lead.activity_schedule(
            "mail.mail_activity_data_todo", user_id=self.rep2.id, note="Secret"
        )
        visit = self.visit.with_user(self.rep)
        for values in (
            {"activity_id": activity.id},
            {"account_user_id": self.rep.id},
            {"tier_id": self.tier_b.id},
            {"close_reason": "Forged"},
        ):
            with self.assertRaises(AccessError):
                visit.write(values)
            with self.assertRaises(AccessError):
                visit.create(
                    {"partner_id": self.partner.id, "track": "contact", **values}
                )
        with self.assertRaises(AccessError):
            visit.lead_id = lead
        created = visit.with_context(default_activity_id=activity.id).create(
            {"partner_id": self.partner.id, "track": "contact"}
        )
        self.assertNotEqual(created.activity_id, activity)

    def test_context_keys_of_a_client(self):
        activity = self.visit.activity_id
        forged = {"key_account_visit_sync": True, "key_account_skip_change": True}
        self.visit.with_user(self.rep).with_context(**forged).write(
            {"state": "done", "date_done": TODAY}
        )
        self.assertFalse(activity.active, "done the usual way all the same")
        self.partner.with_user(self.manager).with_context(
            **forged
        ).account_tier_id = self.tier_c
        change = self.env["key.account.tier.change"].search(
            [("partner_id", "=", self.partner.id)], limit=1
        )
        self.assertEqual(change.to_tier_id, self.tier_c)
        with self.assertRaises(ValidationError):
            self.tier_a.with_user(self.manager).with_context(
                key_account_defer_tier_check=True
            ).share = 99

    def test_tier_by_defaults_of_a_context(self):
        partners = self.env["res.partner"].with_user(self.rep)
        with self.assertRaises(AccessError):
            partners.with_context(default_account_tier_id=self.tier_a.id).create(
                {"name": "Sneaky", "is_company": True}
            )

    def test_tier_by_a_parent_for_a_moment(self):
        sneaky = self._create_partner("Sneaky").with_user(self.rep)
        sneaky.write({"is_company": False, "parent_id": self.partner.id})
        self.assertEqual(sneaky.account_tier_id, self.tier_a)
        sneaky.write({"is_company": True, "parent_id": False})
        self.assertFalse(sneaky.account_tier_id)

    def test_tier_of_another_company(self):
        tier = self.env.ref("crm_key_account.policy_default").tier_ids[:1]
        self.partner.account_tier_id = tier  # shared: fine
        foreign = self._create_company("Foreign")
        policy = self._create_policy(company_id=foreign.id)
        with self.assertRaisesRegex(ValidationError, "belongs to Foreign"):
            self.partner.account_tier_id = policy.tier_ids[0]

    def test_history_stays(self):
        self.visit.with_user(self.rep).action_done()
        for values in (
            {"partner_id": self.other.id},
            {"date_done": "2020-01-01"},
            {"user_id": self.rep2.id},
        ):
            with self.assertRaisesRegex(UserError, "is closed"):
                self.visit.with_user(self.rep).write(values)
        with self.assertRaises(UserError):
            self.visit.with_user(self.rep).state = "cancelled"
        change = self.env["key.account.tier.change"].search([], limit=1)
        with self.assertRaises(AccessError):
            change.with_user(self.manager).reason = "Forged"

    def test_visit_for_a_portal_user(self):
        portal = self._create_user("ka_portal", "base.group_portal")
        with self.assertRaisesRegex(ValidationError, "doesn't work for"):
            self.visit.user_id = portal

    # --- what others may read -----------------------------------------------------

    def test_activities_outside_sales(self):
        internal = self._create_user("ka_internal", "base.group_user")
        activities = self.visit.activity_id | self.other_visit.activity_id
        partners = self.env["res.partner"]
        domain = [("activity_ids.summary", "ilike", "weekly")]
        self.assertFalse(partners.with_user(internal).search(domain))
        self.assertFalse(activities.with_user(internal)._filtered_access("read"))
        self.assertEqual(
            activities.with_user(self.rep)._filtered_access("read"),
            self.visit.activity_id,
        )
        self.assertEqual(
            activities.with_user(self.leader)._filtered_access("read"), activities
        )
        self.visit.with_user(self.rep).action_done("Fine")
        body = self.partner.message_ids[:1].body
        self.assertIn("Fine", body)
        self.assertNotIn("weekly", body, "the reason stays on the visit")

    def test_wizards_are_private(self):
        self.policy.with_user(self.manager).action_preview()
        admin = self._create_user("ka_manager2", "sales_team.group_sale_manager")
        previews = self.env["key.account.tier.preview"]
        self.assertTrue(previews.with_user(self.manager).search([]))
        self.assertFalse(previews.with_user(admin).search([]))
        with self.assertRaises(AccessError):
            self.env["key.account.visit.cancel"].with_user(self.rep).create(
                {"visit_id": self.other_visit.id}
            )

    def test_lists_open_after_a_lead_changed_hands(self):
        lead = self._create_lead(user_id=self.rep.id)
        visit = self.Visit.create({"lead_id": lead.id, "user_id": self.rep.id})
        visit.action_done()
        lead.user_id = self.rep2
        self.env.invalidate_all()
        self.assertEqual(visit.with_user(self.rep).name, "Lead")
        self.assertIn(visit, self.Visit.with_user(self.rep2).search([]))

    def test_policy_that_went_to_another_company(self):
        shared = self.env.ref("crm_key_account.policy_default")
        self.partner.account_tier_id = shared.tier_ids[0]
        shared.company_id = self._create_company("New owner")
        self.env.invalidate_all()
        partner = self.partner.with_user(self.rep)
        self.assertFalse(partner.next_visit_date is None)
        self.assertTrue(partner.key_account_explanation)

    # --- core's own screens ---------------------------------------------------------

    def test_archiving_a_user_from_the_screen(self):
        self.env["resource.resource"].flush_model()
        self.rep.action_archive()
        self.assertEqual(self.visit.state, "planned")
        self.assertEqual(self.visit.user_id, self.leader)
        self.assertEqual(self.visit.activity_id.user_id, self.leader)

    def test_deleting_a_lead_keeps_the_customer_s_visits(self):
        lead = self._create_lead()
        visit = self.Visit.create({"lead_id": lead.id, "track": "executive"})
        lead.partner_id = self.partner
        visit.action_done()
        lead.unlink()
        self.assertTrue(visit.exists())
        self.assertEqual(visit.partner_id, self.partner)
        lead = self._create_lead()
        self.Visit.create({"lead_id": lead.id}).action_done()
        with self.assertRaisesRegex(UserError, "has been visited"):
            lead.with_user(self.manager).unlink()
        # code that deletes as the superuser isn't held up
        lead.unlink()
        self.assertFalse(lead.exists())

    def test_rep_merges_contacts(self):
        self.rep.group_ids += self.env.ref("base.group_partner_manager")
        double = self._create_partner("Own account again", email="a@example.com")
        self.partner.email = "a@example.com"
        self._set_tier(double, self.tier_b)
        wizard = (
            self.env["base.partner.merge.automatic.wizard"]
            .with_user(self.rep)
            .create(
                {
                    "partner_ids": [Command.set((self.partner | double).ids)],
                    "dst_partner_id": self.partner.id,
                }
            )
        )
        wizard.action_merge()
        self.assertFalse(double.exists())
        self.assertEqual(self.partner.account_tier_id, self.tier_a)

    def test_won_lead(self):
        lead = self._create_lead(type="opportunity")
        visit = self.Visit.create({"lead_id": lead.id})
        lead.action_set_won()
        self.assertEqual(visit.state, "cancelled")
        self.assertEqual(visit.close_reason, "Lead won")

    def test_saving_a_lead_leaves_what_was_given_to_a_colleague(self):
        lead = self._create_lead(user_id=self.rep.id)
        visit = self.Visit.create({"lead_id": lead.id, "user_id": self.rep2.id})
        lead.write({"user_id": self.rep.id})
        self.assertEqual(visit.user_id, self.rep2)

    def test_deleted_activity_type(self):
        self.env.ref("crm_key_account.mail_activity_type_executive").unlink()
        visit = self.Visit.create({"partner_id": self.partner.id, "track": "executive"})
        self.assertTrue(visit.activity_id)

    def test_cadence_line_that_goes(self):
        self.cadence.active = False
        self.Visit._generate()
        self.assertEqual(self.visit.state, "cancelled")
        self.assertEqual(self.visit.close_reason, "The cadence changed")

    def test_restored_activity_of_a_visit_with_a_lead(self):
        lead = self._create_lead(partner_id=self.partner.id)
        self.visit.lead_id = lead
        activity = self.visit.activity_id
        self.visit.action_done()
        with self.assertRaisesRegex(UserError, "planned already"):
            activity.active = True

    # --- the rest -----------------------------------------------------------------

    def test_day_that_was_named(self):
        self.visit.with_user(self.rep).write(
            {"state": "done", "date_done": TODAY - timedelta(days=3)}
        )
        self.assertEqual(self.visit.date_done, date(2026, 3, 15))

    def test_done_today_far_west_by_somebody_far_east(self):
        self.rep.tz = "Pacific/Pago_Pago"
        visit = (
            self.Visit.with_user(self.manager)
            .with_context(tz="Pacific/Kiritimati")
            .create(
                {
                    "partner_id": self.partner.id,
                    "user_id": self.rep.id,
                    "track": "contact",
                    "state": "done",
                }
            )
        )
        self.assertEqual(visit.date_done, date(2026, 3, 17))

    def test_own_interval_without_a_line_for_the_tier(self):
        partner = self._create_partner("Small but close")
        self._set_tier(partner, self.tier_c)
        self.assertFalse(self.Visit._generate(partner))
        partner.visit_interval_days = 5
        visit = self.Visit._generate(partner)
        self.assertEqual(visit.track, "visit")
        self.assertIn("every 5 days", visit.summary)
        self.assertFalse(self.Visit._generate())
        self.assertEqual(visit.state, "planned")

    def test_proposal_and_a_tier_set_by_hand(self):
        proposal = self.env["key.account.tier.change"].create(
            {
                "partner_id": self.partner.id,
                "company_id": self.company.id,
                "to_tier_id": self.tier_b.id,
            }
        )
        self.partner.account_tier_id = self.tier_c
        self.assertEqual(proposal.state, "rejected")

    def test_suggested_tier_can_be_deleted(self):
        card = self._get_card(self.partner)
        card.suggested_tier_id = self.tier_b
        self.tier_b.unlink()
        self.assertFalse(card.suggested_tier_id)

    def test_visit_moved_to_another_company(self):
        other = self._create_company("Elsewhere")
        self.env.user.company_ids += other
        self.rep.company_ids += other
        self.visit.company_id = other
        self.assertFalse(self._get_card(self.partner).next_visit_date)
        self.assertTrue(self._get_card(self.partner, other).next_visit_date)

    def test_one_bad_company_does_not_stop_the_others(self):
        other = self._create_company("Broken")
        self._create_policy(company_id=other.id)
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE key_account_tier SET share = 50 WHERE company_id = %s", [other.id]
        )
        last = self._create_company("After the broken one")
        self.env.invalidate_all()
        with (
            self.enter_registry_test_mode(),
            mute_logger(
                "odoo.addons.crm_key_account.models.visit.key_account_night",
                "odoo.addons.base.models.ir_cron",
            ),
        ):
            self.env.ref("crm_key_account.ir_cron_tiering").method_direct_trigger()
        self.env.invalidate_all()
        self.assertTrue(last.key_account_computed_at)
        self.assertFalse(other.key_account_computed_at)


@tagged("post_install", "-at_install")
class TestNewDoors(KeyAccountCommon):
    """Ways around the rules that were found once."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.employee = cls._create_user("ka_employee", "base.group_user")
        cls.account = cls._create_partner("Kestrel")
        cls.visit = cls.Visit.create(
            {
                "partner_id": cls.account.id,
                "user_id": cls.rep.id,
                "date_planned": "2030-01-07",
                "summary": "Key account, weekly",
            }
        )

    def _group_by_state(self, account):
        return [
            (row["activity_state"], row["__count"])
            for row in account.formatted_read_group(
                [("id", "=", account.id)], ["activity_state"], ["__count"]
            )
        ]

    def test_summaries_on_the_customer(self):
        """Core reads the next activity's summary as superuser."""
        self.env.flush_all()
        for user in (self.employee, self.rep2):
            self.env.invalidate_all()
            account = self.account.with_user(user)
            row = account.read(["activity_summary", "activity_type_id"])[0]
            self.assertFalse(row["activity_summary"])
            self.assertFalse(row["activity_type_id"])
            for domain in (
                [("activity_summary", "=ilike", "key%")],
                [("activity_state", "=", "planned")],
                [("activity_state", "in", ["planned", "overdue"])],
            ):
                self.assertFalse(account.search([("id", "=", account.id), *domain]))
            self.assertTrue(
                account.search(
                    [("id", "=", account.id), ("activity_state", "=", False)]
                )
            )
            self.assertEqual(self._group_by_state(account), [(False, 1)])
        for user in (self.rep, self.leader):
            self.env.invalidate_all()
            account = self.account.with_user(user)
            self.assertEqual(self._group_by_state(account), [("planned", 1)])
            self.assertEqual(account.activity_summary, "Key account, weekly")
            for state, found in (("planned", account), ("today", account.browse())):
                self.assertEqual(
                    account.search(
                        [("id", "=", account.id), ("activity_state", "=", state)]
                    ),
                    found,
                )
        # what was done counts for nobody
        activity = self.account.activity_schedule(
            "mail.mail_activity_data_todo", date.today() - timedelta(days=5)
        )
        activity.action_feedback()
        self.env.flush_all()
        self.env.invalidate_all()
        for user, state in ((self.employee, False), (self.rep, "planned")):
            account = self.account.with_user(user)
            self.assertEqual(self._group_by_state(account), [(state, 1)])

    def test_onchange_shows_no_strangers(self):
        lead = self.env["crm.lead"].create(
            {"name": "Secret", "user_id": self.rep2.id, "company_id": self.company.id}
        )
        for named in (lead.id, {"id": lead.id}):
            with self.assertRaises(AccessError):
                self.Visit.with_user(self.rep).onchange(
                    {"lead_id": named}, ["lead_id"], {"name": {}}
                )

    def test_leads_are_not_classed_by_hand(self):
        lead = self.env["crm.lead"].create(
            {"name": "Deal", "user_id": self.rep.id, "company_id": self.company.id}
        )
        for vals in (
            {"account_tier_id": self.tier_a.id},
            {"relationship_level": "partner"},
        ):
            with self.assertRaises(AccessError):
                lead.with_user(self.rep).write(vals)

    def test_evidence_is_not_born_withdrawn(self):
        criterion = self.env["key.account.relationship.criterion"].search(
            [("kind", "=", "judged")], limit=1
        )
        evidence = (
            self.env["key.account.relationship.evidence"]
            .with_user(self.rep)
            .with_context(
                default_date_withdrawn="2020-01-01",
                default_withdrawn_user_id=self.manager.id,
            )
            .create(
                {
                    "partner_id": self.account.id,
                    "criterion_id": criterion.id,
                    "note": "Seen",
                }
            )
        )
        self.assertFalse(evidence.date_withdrawn)
        self.assertFalse(evidence.withdrawn_user_id)

    def test_merging_gives_no_level(self):
        other = self._create_partner("Alliance", user_id=self.rep2.id)
        other.relationship_level = "strategic_alliance"
        done = self.Visit.create(
            {
                "partner_id": other.id,
                "user_id": self.rep2.id,
                "state": "done",
                "date_done": "2026-01-05",
                "date_planned": "2026-01-05",
            }
        )
        self.env["base.partner.merge.automatic.wizard"]._merge(
            (self.account | other).ids, self.account
        )
        self.env.invalidate_all()
        self.assertEqual(self.account.relationship_level, "transactional")
        # the history is the salesperson's whose account it is now
        self.assertEqual(done.account_user_id, self.rep)
        self.assertTrue(done.with_user(self.rep).has_access("read"))

    def test_contact_of_an_account_whose_sponsor_left(self):
        self.account.executive_sponsor_id = self.leader
        elsewhere = self._create_company("Elsewhere")
        self.leader.write(
            {"company_id": elsewhere.id, "company_ids": [Command.set(elsewhere.ids)]}
        )
        contact = (
            self.env["res.partner"]
            .with_user(self.employee)
            .sudo()
            .create({"name": "Ann", "parent_id": self.account.id})
        )
        self.assertEqual(contact.commercial_partner_id, self.account)

    def test_deleted_account_leaves_no_level(self):
        contact = self.env["res.partner"].create(
            {"name": "Ann", "parent_id": self.account.id}
        )
        self.account.relationship_level = "partner"
        self.assertEqual(contact.relationship_level, "partner")
        self.visit.action_cancel()
        self.account.unlink()
        self.env.invalidate_all()
        self.assertEqual(contact.relationship_level, "transactional")

    def test_far_east(self):
        """Where the rep is, tomorrow has begun: evidence counts at once."""
        self.company.resource_calendar_id.tz = "America/Los_Angeles"
        self.rep.tz = "Pacific/Kiritimati"
        criterion = self.env["key.account.relationship.criterion"].search(
            [("kind", "=", "judged")], limit=1
        )
        with freeze_time("2026-03-18 12:00:00"):
            evidence = (
                self.env["key.account.relationship.evidence"]
                .with_user(self.rep)
                .with_context(tz="Pacific/Kiritimati")
                .create(
                    {
                        "partner_id": self.account.id,
                        "criterion_id": criterion.id,
                        "note": "Seen",
                    }
                )
            )
            self.assertEqual(str(evidence.date), "2026-03-18")
            evidence.action_withdraw()
            self.assertGreaterEqual(evidence.date_withdrawn, evidence.date)


@tagged("post_install", "-at_install")
class TestActivityAttacks(KeyAccountCommon):
    """Activities of visits are what core lets anybody write who may write the customer;
    what a rule hides must stay hidden."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.startClassPatcher(freeze_time("2026-03-18 09:00:00"))
        cls.clerk = cls._create_user(
            "ka_clerk", "base.group_user,base.group_partner_manager"
        )
        cls.partner = cls._create_partner("Customer")
        cls.visit = cls.Visit.create(
            {
                "partner_id": cls.partner.id,
                "company_id": cls.company.id,
                "user_id": cls.rep.id,
                "date_planned": TODAY,
                "objective": "Get the rebate through",
            }
        )
        cls.visit.sudo().activity_id.summary = "Key account, weekly"

    def test_strangers_neither_take_over_nor_delete(self):
        activity = self.visit.activity_id
        for user in (self.clerk, self.rep2):
            stranger = activity.with_user(user)
            for call in (
                lambda stranger=stranger, user=user: stranger.write(
                    {"user_id": user.id}
                ),
                lambda stranger=stranger: stranger.write({"date_deadline": TODAY}),
                lambda stranger=stranger: stranger.write({"active": False}),
                lambda stranger=stranger: stranger.unlink(),
                lambda user=user: self.partner.with_user(user).write(
                    {"activity_ids": [Command.delete(activity.id)]}
                ),
            ):
                with self.assertRaises(AccessError):
                    call()
        self.assertEqual(self.visit.state, "planned")
        self.assertEqual(activity.user_id, self.rep)
        # those who may
        activity.with_user(self.rep).date_deadline = TODAY + timedelta(days=1)
        activity.with_user(self.leader).user_id = self.rep2
        self.assertEqual(self.visit.user_id, self.rep2)

    def test_flags_are_not_for_clients(self):
        activity = self.visit.activity_id
        activity.with_user(self.rep).write(
            {"key_account_role": "follow_up", "key_account_visit_id": False}
        )
        self.assertEqual(activity.key_account_role, "visit")
        self.assertEqual(activity.key_account_visit_id, self.visit)

    def test_nothing_is_made_by_mail(self):
        """Every internal user may call Odoo's mail gateway, which makes documents as
        superuser, with values of the caller's."""
        mail = (
            "From: a@example.com\nTo: b@example.com\nMessage-Id: <{}@example.com>\n"
            "Date: Wed, 18 Mar 2026 09:00:00 +0000\nSubject: Done\n\nDone\n"
        )
        values = {
            "partner_id": self.partner.id,
            "company_id": self.company.id,
            "user_id": self.rep.id,
            "state": "done",
            "date_done": "2026-03-17",
        }
        threads = [
            name
            for name, model in self.env.items()
            if name.startswith("key.account.") and not model._abstract
            if "message_ids" in model
        ]
        self.assertIn("key.account.visit", threads)
        internal = self._create_user("ka_mail_internal", "base.group_user")
        for user in (internal, self.rep):
            for model in threads:
                gateway = self.env[model].with_user(user)
                with (
                    self.subTest(user=user.login, model=model),
                    self.assertRaisesRegex(UserError, "none is made by mail"),
                ):
                    gateway.message_process(
                        model, mail.format(f"{model}-{user.id}"), custom_values=values
                    )

    def test_the_customers_chatter_tells_nothing(self):
        self.visit.with_user(self.rep).action_done("Fine")
        bodies = " ".join(self.partner.message_ids.mapped("body"))
        self.assertIn("Fine", bodies)
        self.assertNotIn("rebate", bodies)
        self.assertNotIn("weekly", bodies)

    def test_feedback_is_not_in_the_meeting(self):
        self.visit.with_user(self.rep).action_schedule_meeting()
        event = self.visit.calendar_event_id
        self.visit.activity_id.with_user(self.rep).action_feedback("They are broke")
        self.assertEqual(self.visit.calendar_event_id, event)
        self.assertNotIn("broke", event.notes or "")

    def test_meeting_of_a_lead_is_private(self):
        lead = self.env["crm.lead"].create(
            {
                "name": "Secret deal",
                "street": "1 Hidden Street",
                "user_id": self.rep.id,
                "company_id": self.company.id,
            }
        )
        visit = self.Visit.create(
            {
                "lead_id": lead.id,
                "company_id": self.company.id,
                "user_id": self.rep.id,
                "date_planned": TODAY,
            }
        )
        visit.with_user(self.rep).action_schedule_meeting()
        event = visit.calendar_event_id
        self.env.flush_all()
        self.env.invalidate_all()
        values = event.with_user(self.clerk).read(["name", "location"])
        self.assertNotIn("Secret", str(values))
        self.assertNotIn("Hidden", str(values))

    def test_a_saved_visit_shows_no_strangers(self):
        secret = self.env["crm.lead"].create(
            {
                "name": "Secret deal",
                "phone": "+49 1234",
                "user_id": self.rep2.id,
                "company_id": self.company.id,
            }
        )
        with self.assertRaises(AccessError):
            self.visit.with_user(self.rep).onchange(
                {"lead_id": secret.id, "partner_id": False},
                ["lead_id", "partner_id"],
                {"name": {}, "phone": {}, "city": {}, "map_url": {}},
            )

    def test_a_commitment_shows_no_strangers(self):
        """Whatever a form names as its visit, or as the visit's customer."""
        Commitment = self.env["key.account.commitment"].with_user(self.rep)
        account = self._create_partner("Secret customer", user_id=self.rep2.id)
        hidden = self.Visit.create(
            {
                "partner_id": account.id,
                "company_id": self.company.id,
                "user_id": self.rep2.id,
            }
        )
        company = self._create_company("Elsewhere")
        stranger = self.env["res.partner"].create(
            {"name": "Secret stranger", "company_id": company.id}
        )
        spec = {"partner_id": {"fields": {"display_name": {}}}}
        for named in (
            hidden.id,
            {"id": hidden.id},
            {"partner_id": stranger.id},
            {"partner_id": {"id": stranger.id}},
        ):
            with self.subTest(named=named), self.assertRaises(AccessError):
                Commitment.onchange({"visit_id": named}, ["visit_id"], spec)
        with self.assertRaises(AccessError):
            Commitment.with_context(default_visit_id=hidden.id).onchange({}, [], spec)
        with self.assertRaises(AccessError):
            self.Visit.with_user(self.rep).onchange(
                {"commitment_ids": [[0, "virtual_1", {"visit_id": hidden.id}]]},
                ["commitment_ids"],
                {"commitment_ids": {"fields": spec}},
            )
        # the own one
        result = Commitment.onchange(
            {"visit_id": {"id": self.visit.id}}, ["visit_id"], spec
        )
        self.assertIn("Customer", str(result))

    def test_a_colleague_s_customer_in_the_backlog(self):
        """What waits for somebody stays theirs; the promise is told."""
        self.visit._close("Again")
        logged = self.Visit.with_user(self.rep2).create(
            {"partner_id": self.partner.id, "track": "visit", "state": "done"}
        )
        row = self.env["key.account.due"].create(
            {
                "partner_id": self.partner.id,
                "company_id": self.company.id,
                "user_id": self.rep.id,
                "cadence_id": self.env["key.account.cadence"].search([], limit=1).id,
                "days": 30,
                "track": "visit",
                "date_due": TODAY,
                "date_since": TODAY,
                "reason": "capacity",
            }
        )
        logged.write({"next_date": TODAY + timedelta(days=9)})
        settlement = self.env["key.account.settlement"]
        settlement._keep_promises(logged.sudo(), {"next_date"})
        self.assertTrue(row.exists())
        self.assertFalse(self._get_planned(self.partner))
        self.assertEqual(logged.sudo().promise_activity_id.user_id, self.rep)

    def test_a_colleague_who_won_the_customer_back(self):
        """A visit to win a customer back isn't planned again, whoever made it."""
        self.visit._close("Lost")
        loss = self.env["key.account.loss"].create(
            {
                "partner_id": self.partner.id,
                "company_id": self.company.id,
                "date": TODAY - timedelta(days=90),
                "reason_id": self.env.ref("crm_key_account.churn_reason_price").id,
                "date_win_back": TODAY + timedelta(days=2),
            }
        )
        win_back = self._get_planned(self.partner)
        self.assertEqual((win_back.loss_id, win_back.user_id), (loss, self.rep))
        win_back.date_planned = TODAY
        logged = self.Visit.with_user(self.rep2).create(
            {"partner_id": self.partner.id, "track": "visit", "state": "done"}
        )
        self.assertEqual(win_back.state, "cancelled")
        self.assertEqual(logged.sudo().loss_id, loss)
        self.assertFalse(self._get_planned(self.partner))

    def test_reach_is_no_question_of_selected_companies(self):
        other = self._create_company("Elsewhere")
        self.rep.company_ids += other
        for user, reached in ((self.rep, True), (self.rep2, False)):
            visit = self.visit.with_user(user).with_context(
                allowed_company_ids=(other if user == self.rep else self.company).ids
            )
            self.assertEqual(bool(visit.sudo()._filter_within_reach()), reached)

    def test_nobody_s_customer(self):
        """A visit that nobody is responsible for is moved: nobody could be told."""
        self.partner.user_id = self.rep
        self.visit.user_id = False
        self.visit.date_planned = TODAY + timedelta(days=30)
        self.partner.user_id.sudo().active = False
        logged = self.Visit.with_user(self.rep2).create(
            {"partner_id": self.partner.id, "track": "visit", "state": "done"}
        )
        day = TODAY + timedelta(days=20)
        logged.write({"next_date": day})
        settlement = self.env["key.account.settlement"]
        settlement._keep_promises(logged.sudo(), {"next_date"})
        self.assertEqual(self._get_planned(self.partner).date_planned, day)
        result = logged.sudo()._get_next_notification("Done.")
        self.assertIn("Next visit", result["params"]["message"])

    def test_the_refusal_of_a_promise_names_no_strangers(self):
        secret = self._create_partner("Secret customer", user_id=self.rep2.id)
        hidden = self.Visit.create(
            {
                "partner_id": secret.id,
                "company_id": self.company.id,
                "user_id": self.rep2.id,
            }
        )
        hidden._close("Again")
        Commitment = self.env["key.account.commitment"].with_user(self.rep)
        own = Commitment.create({"visit_id": self.visit.id, "name": "Samples"})
        for call in (
            lambda: Commitment.create({"visit_id": hidden.id, "name": "x"}),
            lambda: own.write({"visit_id": hidden.id}),
        ):
            with self.assertRaises(AccessError) as error:
                call()
            self.assertNotIn("Secret", str(error.exception))

    def test_a_form_shows_nothing_by_its_lines_and_defaults(self):
        account = self._create_partner("Secret customer", user_id=self.rep2.id)
        hidden = self.Visit.create(
            {
                "partner_id": account.id,
                "company_id": self.company.id,
                "user_id": self.rep2.id,
            }
        )
        commitment = self.env["key.account.commitment"].create(
            {"visit_id": hidden.id, "name": "Secret promise"}
        )
        lead = self.env["crm.lead"].create(
            {"name": "Secret", "user_id": self.rep2.id, "company_id": self.company.id}
        )
        Visits = self.Visit.with_user(self.rep)
        for command in (
            Command.link(commitment.id),
            Command.update(commitment.id, {}),
            Command.set(commitment.ids),
        ):
            with self.subTest(command=command):
                self.env.flush_all()
                self.env.invalidate_all()
                try:
                    result = Visits.onchange(
                        {"commitment_ids": [command]},
                        ["commitment_ids"],
                        {"commitment_ids": {"fields": {}}, "commitment_log": {}},
                    )
                except AccessError:
                    continue
                self.assertNotIn("Secret", str(result))
        with self.assertRaises(AccessError):
            Visits.with_context(default_lead_id=lead.id).onchange(
                {}, [], {"lead_id": {"fields": {"display_name": {}}}}
            )

    def test_nothing_is_promised_at_a_cancelled_visit(self):
        self.visit.with_user(self.rep).action_cancel()
        with self.assertRaisesRegex(UserError, "was cancelled"):
            self.env["key.account.commitment"].with_user(self.rep).create(
                {"visit_id": self.visit.id, "name": "Samples"}
            )

    def test_a_refusal_names_no_strangers(self):
        company = self._create_company("Elsewhere")
        stranger = self.env["res.partner"].create(
            {"name": "Secret stranger", "company_id": company.id}
        )
        self.env.invalidate_all()
        for vals in (
            {"target_contact_id": stranger.id},
            {"contact_ids": [Command.link(stranger.id)]},
        ):
            with self.subTest(vals=vals), self.assertRaises(AccessError) as error:
                self.visit.with_user(self.rep).write(vals)
            self.assertNotIn("Secret", str(error.exception))

    def test_a_colleague_who_was_there_first(self):
        """Somebody else's visit counts; what the salesperson planned is neither read
        nor moved by it."""
        cadence = self.env["key.account.cadence"].create(
            {"tier_id": self.tier_a.id, "company_id": self.company.id}
        )
        self._set_tier(self.partner, self.tier_a)
        contact = self.env["res.partner"].create(
            {"name": "Ann", "parent_id": self.partner.id}
        )
        answers = {
            "contact_ids": [Command.set(contact.ids)],
            "mode": "on_site",
            "objective_reached": "reached",
            "next_step": "Offer",
            "next_date": TODAY + timedelta(days=100),
            "next_theme": "New machines",
        }
        self.visit.write(
            {"cadence_id": cadence.id, "date_due": TODAY, "date_escalated": TODAY}
        )
        logged = self.Visit.with_user(self.rep2).create(
            {"partner_id": self.partner.id, "track": "visit", "state": "done"}
        )
        self.env.flush_all()
        self.env.invalidate_all()
        self.assertNotIn("rebate", str(logged.read(["objective", "summary"])))
        self.assertEqual(logged.sudo().cadence_id, cadence)
        self.assertEqual(self.visit.state, "cancelled")
        self.assertEqual(self.visit.objective, "Get the rebate through")
        # the leader need not go after it any more
        self.assertFalse(self.visit.date_escalated)
        following = self._get_planned(self.partner)
        day = following.date_planned
        result = logged.action_report(answers)
        self.assertEqual(following.user_id, self.rep)
        self.assertEqual(following.date_planned, day)
        self.assertFalse(following.objective)
        self.assertNotIn(str(following.id), str(result))
        # its salesperson is told, once
        task = logged.sudo().promise_activity_id
        self.assertEqual(task.user_id, self.rep)
        self.assertEqual(task.key_account_role, "promise")
        self.assertIn("New machines", task.summary)
        self.assertIn("Jun 26", task.summary)
        tasks = self.partner.activity_ids
        # the correction of a promise moves nothing either, and is told
        for values, told in (
            ({"next_date": "2026-06-30", "next_theme": "Old ones"}, "Jun 30; Old ones"),
            ({"next_date": False}, "Old ones"),
        ):
            logged.write(values)
            self.assertEqual(following.state, "planned")
            self.assertEqual(following.date_planned, day)
            self.assertEqual(self.partner.activity_ids, tasks)
            self.assertTrue(task.summary.endswith(told), task.summary)
        self.assertNotIn("Jun", task.summary)
        logged.next_theme = False
        self.assertFalse(task.exists())
        # a leader, who may see all
        logged.with_user(self.leader).next_date = TODAY + timedelta(days=50)
        self.assertEqual(following.date_planned, TODAY + timedelta(days=50))

    def test_company_team_and_state_are_not_for_clients(self):
        other = self._create_company("Elsewhere")
        self.rep.company_ids += other
        visit = self.visit.with_user(self.rep).with_context(
            allowed_company_ids=(self.company | other).ids
        )
        with self.assertRaises(UserError):
            visit.company_id = other
        with self.assertRaises(AccessError):
            visit.team_id = False
        for state in ("missed", "cancelled"):
            with self.assertRaises(UserError):
                visit.create({"partner_id": self.partner.id, "state": state})
        visit.action_done()
        with self.assertRaises(UserError):
            visit.summary = "Something else"

    def test_nobody_outside_sales_gets_a_visit(self):
        with self.assertRaises(UserError):
            self.visit.with_user(self.leader).action_move(
                fields.Date.to_string(TODAY), self.clerk.id
            )

    def test_a_commitment_takes_no_foreign_activity(self):
        stranger = self.partner.activity_schedule(
            "mail.mail_activity_data_todo", summary="Secret", user_id=self.rep2.id
        )
        commitment = (
            self.env["key.account.commitment"]
            .with_user(self.rep)
            .with_context(default_activity_id=stranger.id, default_state="kept")
            .create({"visit_id": self.visit.id, "name": "Mine"})
        )
        self.assertEqual(commitment.state, "open")
        self.assertNotEqual(commitment.activity_id, stranger)
        commitment.unlink()
        self.assertEqual(stranger.exists().summary, "Secret")


@tagged("post_install", "-at_install")
class TestRefusals(KeyAccountCommon):
    """A refusal tells nothing of what the user may not read."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other_company = cls._create_company("Elsewhere")
        cls.stranger = cls._create_user(
            "ka_stranger",
            "sales_team.group_sale_salesman,base.group_partner_manager",
            cls.other_company,
        )
        cls.account = cls._create_partner(
            "Kestrel", company_id=cls.company.id, user_id=cls.rep2.id
        )
        cls.visit = cls.Visit.create(
            {"partner_id": cls.account.id, "user_id": cls.rep2.id}
        )

    def _as_stranger(self, records):
        self.env.flush_all()
        self.env.invalidate_all()
        return records.with_user(self.stranger).with_context(
            allowed_company_ids=self.other_company.ids
        )

    def _check_refused(self, call, *hidden):
        with self.assertRaises(AccessError) as error:
            call()
        for name in hidden:
            self.assertNotIn(name, str(error.exception))

    def test_salesperson_of_another_company_s_customer(self):
        account = self._as_stranger(self.account)
        for user in (self.stranger, self.env["res.users"]):
            self._check_refused(
                lambda user=user: account.write({"user_id": user.id}),
                "Kestrel",
                self.rep2.name,
            )

    def test_merging_another_company_s_customer(self):
        own = self._create_partner("Own", user_id=self.stranger.id)
        merge = self._as_stranger(self.env["base.partner.merge.automatic.wizard"])
        self._check_refused(
            lambda: merge._merge((own | self.account).ids, own),
            "Kestrel",
            self.rep2.name,
        )

    def test_carrying_an_activity_away(self):
        internal = self._create_user("ka_refused", "base.group_user")
        activity = self._as_stranger(self.visit.activity_id)
        for user in (self.stranger, internal):
            for vals in ({"res_id": self.account.id + 1}, {"res_model": "crm.lead"}):
                self._check_refused(
                    lambda user=user, vals=vals: activity.with_user(user).write(vals),
                    "Kestrel",
                )

    def test_giving_to_somebody_unknown(self):
        portal = self._create_user("ka_hidden", "base.group_portal")
        own = self._create_partner("Own", user_id=self.stranger.id)
        visit = self.Visit.with_company(self.other_company).create(
            {"partner_id": own.id, "user_id": self.stranger.id}
        )
        commitments = self._as_stranger(self.env["key.account.commitment"])
        promise = {"visit_id": visit.id, "name": "Samples"}
        commitment = commitments.create(promise)
        for call in (
            lambda: commitments.create({**promise, "user_id": portal.id}),
            lambda: commitment.write({"user_id": portal.id}),
            lambda: self._as_stranger(visit).action_move("2031-01-06", portal.id),
            lambda: self._as_stranger(visit.activity_id).write({"user_id": portal.id}),
        ):
            self._check_refused(call, portal.name)

    def test_clients_create_no_loss(self):
        for who in (self.rep, self.manager):
            losses = self.env["key.account.loss"].with_user(who)
            for call in (
                lambda losses=losses: losses.name_create("Kestrel"),
                lambda losses=losses: losses.create({"partner_id": "Kestrel"}),
            ):
                self._check_refused(call)

    def test_forms_of_odoo_name_nothing_of_ours(self):
        """Odoo shows the name of whatever a form names, and what follows from it, to
        anybody: wherever a field of its models is for records of ours."""
        self._set_tier(self.account, self.tier_a)
        self.tier_a.name = "Osprey"
        lead = self.env["crm.lead"].create(
            {"name": "Merlin", "user_id": self.rep2.id, "company_id": self.company.id}
        )
        hidden = {
            "key.account": self._get_card(self.account),
            "key.account.tier": self.tier_a,
            "key.account.visit": self.visit,
        }
        lines = {
            "key.account": {"tier_id": self.tier_a.id},
            "key.account.visit": {"lead_id": lead.id},
        }
        tested = set()
        for name, model in self.env.items():
            if model._abstract or name.startswith("key.account"):
                continue
            for field in model._fields.values():
                if not field.relational or field.comodel_name not in hidden:
                    continue
                tested.add(f"{name}.{field.name}")
                value = hidden[field.comodel_name].id
                if field.type != "many2one":
                    value = [Command.create(lines[field.comodel_name])]
                self._check_form_refuses(name, {field.name: value})
        self.assertLessEqual(
            {
                "calendar.event.key_account_visit_ids",
                "crm.lead.account_tier_id",
                "mail.activity.key_account_visit_id",
                "res.partner.account_tier_id",
                "res.users.key_account_visit_ids",
            },
            tested,
        )
        # in the lines of a form
        self._check_form_refuses(
            "res.partner",
            {"child_ids": [Command.create({"account_tier_id": self.tier_a.id})]},
        )

    def _check_form_refuses(self, name, values):
        named = {"fields": {"display_name": {}}}
        spec = {
            field: {
                "fields": dict.fromkeys(*line[0][2:], named)
                if isinstance(line, list)
                else {"display_name": {}}
            }
            for field, line in values.items()
        }
        form = self._as_stranger(self.env[name])
        default = form.with_context(
            **{f"default_{field}": value for field, value in values.items()}
        )
        for call in (
            lambda: form.onchange(values, [], spec),
            lambda: form.onchange(values, list(values), spec),
            lambda: default.onchange({}, [], spec),
        ):
            with self.subTest(form=name, values=values):
                try:
                    told = str(call())
                except AccessError as error:
                    told = str(error)
                for text in ("Kestrel", "Merlin", "Osprey"):
                    self.assertNotIn(text, told)

    def test_saving_shows_nothing_of_ours(self):
        """What a client saves is read back at once, computed fields as they were
        named: another company's decisions would be those of one's own customer."""
        self._set_tier(self.account, self.tier_a)
        self.tier_a.name = "Osprey"
        card = self._get_card(self.account)
        own = self._create_partner("Own", user_id=self.stranger.id)
        hidden = {
            "key.account": card,
            "key.account.tier": self.tier_a,
            "key.account.visit": self.visit,
        }
        values = {"name": "Own", "user_id": self.stranger.id}
        records = {
            "calendar.event": {
                **values,
                "start": "2030-01-07 09:00:00",
                "stop": "2030-01-07 10:00:00",
            },
            "crm.lead": {**values, "company_id": self.other_company.id},
            "mail.activity": {
                "res_model_id": self.env["ir.model"]._get_id("res.partner"),
                "res_id": own.id,
                "user_id": self.stranger.id,
            },
            "res.partner": values,
            "res.users": {"name": "Own", "login": "ka_own"},
        }
        decisions = ("account_tier_id", "relationship_level", "account_value_type")
        for name, vals in records.items():
            model = self.env[name]
            record = self.stranger if name == "res.users" else model.create(vals)
            shown = [field for field in decisions if field in model._fields]
            for field in model._fields.values():
                if field.comodel_name not in hidden:
                    continue
                value = hidden[field.comodel_name].id
                if field.type != "many2one":
                    value = [Command.link(value)]
                spec = {
                    each: {"fields": {"display_name": {}}}
                    if model._fields[each].relational
                    else {}
                    for each in (field.name, *shown)
                }
                for saved, saved_vals in ((record, {}), (record.browse(), vals)):
                    with self.subTest(field=str(field), new=not saved):
                        told = self._save(
                            saved, {**saved_vals, field.name: value}, spec
                        )
                        for text in ("Kestrel", "Osprey"):
                            self.assertNotIn(text, told)
        contact = {"child_ids": [Command.create({**values, "key_account_id": card.id})]}
        spec = {"child_ids": {"fields": {"account_tier_id": {}, "key_account_id": {}}}}
        self._check_refused(
            lambda: self._as_stranger(own).web_save(contact, spec), "Kestrel", "Osprey"
        )

    def _save(self, records, values, spec):
        """Return what a stranger is told who saves a form."""
        try:
            with self.env.cr.savepoint():
                return str(self._as_stranger(records).web_save(values, spec))
        except AccessError as error:
            return str(error)
