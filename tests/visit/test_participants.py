from freezegun import freeze_time

from odoo import Command
from odoo.exceptions import AccessError, ValidationError
from odoo.tests import tagged

from ..common import TODAY, KeyAccountCommon


@tagged("post_install", "-at_install")
class TestParticipants(KeyAccountCommon):
    """A colleague who came along counts for who knows whom, not for who made the
    visit."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.startClassPatcher(freeze_time("2026-03-18 09:00:00"))
        cls.env["key.account.cadence"].search([]).active = False
        cls.partner = cls._create_partner("Kestrel")
        cls._set_tier(cls.partner, cls.tier_a)
        cls.ann, cls.bob = cls.env["res.partner"].create(
            [
                {"name": "Ann", "parent_id": cls.partner.id, "decision_level": "top"},
                {"name": "Bob", "parent_id": cls.partner.id},
            ]
        )

    def _visit(self, **values):
        return self.Visit.create(
            {
                "partner_id": self.partner.id,
                "user_id": self.rep.id,
                "state": "done",
                "date_done": TODAY,
                "contact_ids": [Command.set((self.ann | self.bob).ids)],
                **values,
            }
        )

    def _get_account(self):
        self.env.flush_all()
        return self._get_card(self.partner)

    def test_not_single_threaded(self):
        visit = self._visit()
        self.assertTrue(self._get_account().is_single_threaded)
        self.assertEqual(self._get_account().met_user_count, 1)
        visit.with_user(self.rep).participant_ids = self.rep2
        self.assertFalse(self._get_account().is_single_threaded)
        self.assertEqual(self._get_account().met_user_count, 2)
        self.assertEqual(self._get_account().met_contact_count, 2)
        # the salesperson twice is one
        visit.participant_ids = self.rep
        self.assertTrue(self._get_account().is_single_threaded)
        # as the run of all says it
        visit.participant_ids = self.rep2
        self.env.flush_all()
        self.cr.execute("UPDATE key_account SET met_user_count = 7")
        self.env.invalidate_all()
        self.env["key.account"]._refresh_relationships(self.partner.ids)
        self.assertEqual(self._get_account().met_user_count, 2)

    def test_an_executive_came_along(self):
        criterion = self.env.ref("crm_key_account.criterion_partner_executives")
        visit = self._visit()

        def holds():
            self.env.flush_all()
            self.env.invalidate_all()
            status = self.env["key.account.relationship.status"].search(
                [
                    ("partner_id", "=", self.partner.id),
                    ("company_id", "=", self.company.id),
                    ("criterion_id", "=", criterion.id),
                ]
            )
            return status.state == "holds"

        self.assertFalse(holds())
        visit.participant_ids = self.rep2
        self.assertFalse(holds())
        visit.participant_ids = self.leader
        self.assertTrue(holds())
        visit.participant_ids = False
        self.assertFalse(holds())
        self.partner.executive_sponsor_id = self.manager
        visit.participant_ids = self.manager
        self.assertTrue(holds())

    def test_credit_stays(self):
        visit = self._visit(participant_ids=[Command.set(self.rep2.ids)])
        self.assertEqual(visit.user_id, self.rep)
        figures = self.env["key.account.visit.figures"].search(
            [("visit_id", "=", visit.id), ("kind", "=", "done")]
        )
        self.assertEqual(figures.user_id, self.rep)
        mine = self.env["key.account.visit.figures"].search(
            [("user_id", "=", self.rep2.id), ("company_id", "=", self.company.id)]
        )
        self.assertFalse(mine)

    def test_colleagues_alone(self):
        visit = self._visit()
        other = self._create_company("Elsewhere")
        stranger = self._create_user("ka_stranger", "base.group_user", company=other)
        portal = self._create_user("ka_guest", "base.group_portal")
        for user in (stranger, portal):
            with self.subTest(user=user.login), self.assertRaises(ValidationError):
                visit.participant_ids = user
        # being there opens nothing
        visit.participant_ids = self.rep2
        with self.assertRaises(AccessError):
            visit.with_user(self.rep2).read(["feedback"])

    def test_went_to_another_company(self):
        """Who came along before stays, and is no hindrance for others."""
        visit = self._visit(participant_ids=[Command.set(self.rep2.ids)])
        other = self._create_company("Elsewhere")
        self.rep2.write(
            {"company_ids": [Command.set(other.ids)], "company_id": other.id}
        )
        visit.with_user(self.rep).participant_ids = [Command.link(self.leader.id)]
        self.assertEqual(visit.participant_ids, self.rep2 | self.leader)
        with self.assertRaises(ValidationError):
            self._visit(participant_ids=[Command.set(self.rep2.ids)])
