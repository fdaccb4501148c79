from freezegun import freeze_time

from odoo.tests import tagged

from ..common import TODAY
from .test_buying_center import BuyingCenterCommon


@tagged("post_install", "-at_install")
class TestGaps(BuyingCenterCommon):
    """The gaps of the map, over all accounts."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.startClassPatcher(freeze_time("2026-03-18 09:00:00"))
        cls.Gap = cls.env["key.account.gap"]

    def _get_gaps(self, user=None):
        self._update(TODAY)
        self.env.flush_all()
        self.env.invalidate_all()
        gaps = self.Gap.with_user(user or self.rep).search(
            [("partner_id", "=", self.account.id)]
        )
        return [
            (gap.role_id.id, gap.decision_level, gap.state, gap.contact_id.id)
            for gap in gaps
        ]

    def test_states(self):
        roles = self.maker.id, self.buyer.id, self.consumer.id
        self._get_card(self.account).write({"is_account": True})
        self.assertEqual(
            self._get_gaps(),
            [
                (False, "top", "never", self.ann.id),
                (roles[0], False, "never", self.ann.id),
                (roles[1], False, "never", self.ann.id),
                (roles[2], "working", "nobody", False),
            ],
        )
        visit = self._visit(self.ann)
        self.assertEqual(
            self._get_gaps(), [(roles[2], "working", "nobody", False)], "as the map"
        )
        visit.date_done = "2024-01-10"
        states = [state for *_, state, _contact in self._get_gaps()]
        self.assertEqual(states, ["long_ago"] * 3 + ["nobody"])
        card = self._get_card(self.account)
        self.assertEqual(len(states), card.required_count - card.covered_count)

    def test_who_reads_them(self):
        self._get_card(self.account).write({"is_account": True})
        self.assertTrue(self._get_gaps(self.leader))
        self.assertFalse(self._get_gaps(self.rep2))
        action = (
            self.Gap.with_user(self.rep)
            .search([("partner_id", "=", self.account.id)], limit=1)
            .action_open_partner()
        )
        self.assertEqual(action["res_id"], self.account.id)

    def test_lost_accounts_have_none(self):
        self._get_card(self.account).write({"is_account": True, "is_lost": True})
        self.assertFalse(self._get_gaps())

    def test_groups(self):
        self._get_card(self.account).write({"is_account": True})
        self._get_gaps()
        groups = self.Gap.formatted_read_group(
            [("partner_id", "=", self.account.id)], ["state"], ["__count"]
        )
        self.assertEqual(
            [(group["state"], group["__count"]) for group in groups],
            [("nobody", 1), ("never", 3)],
        )
