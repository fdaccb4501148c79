from odoo import models

from ...const import LOWEST_LEVEL


class ResPartner(models.Model):
    """What becomes of two accounts when customers are merged."""

    _inherit = "res.partner"

    def _prepare_key_account_merge(self, target):
        """Settle what two accounts can't both keep, before ``self`` is merged into
        ``target``: due dates, planned visits on the same track, proposals, losses,
        rows, targets.

        :return: rows that become the target's
        """
        reason = self.env._("Merged into %s", target.display_name)
        # Core deletes what a unique index keeps it from moving.
        self.env["key.account.due"]._merge(self, target)
        self._settle_planned_visits(target, reason)
        self._reject_tier_changes(reason)
        self._reject_level_changes(reason)
        # Whether it is lost is what the target says: the others live on in it.
        self.env["key.account.loss"].search(
            [("partner_id", "in", self.ids), ("state", "=", "lost")]
        )._mark_returned()
        inherited = (
            self.env["key.account"]
            .search([("partner_id", "in", (self | target).ids)])
            ._merge_into(target)
        )
        self.env["key.account.target"]._merge(self, target)
        return inherited

    def _settle_planned_visits(self, target, reason):
        """Leave one planned visit per company and track: the target's, else the first.

        :param str reason: why the others are closed
        """
        planned = self.env["key.account.visit"].search(
            [("partner_id", "in", (self | target).ids), ("state", "=", "planned")],
            order="date_planned, id",
        )
        # The target isn't lost: nobody has to be won back.
        win_back = planned.filtered(lambda v: v.loss_id and v.partner_id != target)
        win_back._close(reason)
        planned -= win_back
        for visits in planned.grouped(lambda v: (v.company_id, v.track)).values():
            own = visits.filtered(lambda visit: visit.partner_id == target)
            (visits - (own or visits)[:1])._close(reason)

    def _follow_merge(self, accounts, inherited):
        """Bring in step what core changed past the ORM when it merged partners into
        this account.

        :param accounts: other accounts that took part
        :param inherited: rows that were theirs
        """
        self.ensure_one()
        cards = self.env["key.account"]
        cards.invalidate_model()
        self._forget_key_accounts()
        cards.search([("partner_id", "=", self.id)])._copy_salesperson()
        # levels are decided, not inherited
        inherited.relationship_level = LOWEST_LEVEL
        cards._update_visit_dates(self.ids)
        cards._refresh_relationships((self | accounts).ids)
        self.env["key.account.loss"]._follow_merge(self)
        for account in cards.search([("partner_id", "=", self.id)]):
            cards._complete_history(account.company_id, self.ids)
        visits = self.env["key.account.visit"].search([("partner_id", "=", self.id)])
        visits.invalidate_recordset(["account_user_id"])
        self.env["key.account.visit.follow"]._hand_over_stale(
            visits.filtered(lambda visit: visit.account_user_id != self.user_id)
        )
        self._copy_salesperson_to_history()
        self.env["key.account.due"]._refresh_touched((self | accounts).ids)

    def _copy_salesperson_to_history(self):
        """Say whose the visits, changes and evidence are now."""
        for model, name in (
            ("key.account.visit", "account_user_id"),
            ("key.account.tier.change", "partner_user_id"),
            ("key.account.relationship.change", "partner_user_id"),
            ("key.account.relationship.evidence", "partner_user_id"),
        ):
            records = self.env[model].search([("partner_id", "=", self.id)])
            self.env.add_to_compute(records._fields[name], records)
