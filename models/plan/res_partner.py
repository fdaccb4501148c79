from odoo import models


class ResPartner(models.Model):
    _inherit = "res.partner"

    # -------------------------------------------------------------------------
    # Actions
    # -------------------------------------------------------------------------

    def action_view_key_account_plans(self):
        """Open the customer's plans: the only one at once."""
        self._check_opens_account()
        account = self.commercial_partner_id
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_key_account.key_account_plan_action"
        )
        action["domain"] = [("partner_id", "=", account.id)]
        action["context"] = {"default_partner_id": account.id}
        plans = self.env["key.account.plan"].search(action["domain"], limit=2)
        if len(plans) < 2:
            action["res_id"] = plans.id
            action["view_mode"] = "form"
            action["views"] = [(False, "form")]
        return action

    # -------------------------------------------------------------------------
    # Business
    # -------------------------------------------------------------------------

    def _follow_commercial_entity(self):
        res = super()._follow_commercial_entity()
        contacts = self.filtered(lambda p: p != p.commercial_partner_id)
        if contacts:
            self.env["key.account.plan"].sudo()._follow_commercial_entity(contacts)
        return res

    def _hand_over_account(self, previous_users):
        res = super()._hand_over_account(previous_users)
        plans = self.env["key.account.plan"].search([("partner_id", "in", self.ids)])
        plans._hand_over_objectives()
        return res

    def _copy_salesperson_to_history(self):
        res = super()._copy_salesperson_to_history()
        plans = self.env["key.account.plan"].search([("partner_id", "=", self.id)])
        self.env.add_to_compute(plans._fields["account_user_id"], plans)
        return res
