from odoo import api, models


class KeyAccountLoss(models.Model):
    """What becomes of visits when a customer is lost, and when it comes back."""

    _inherit = "key.account.loss"

    # -------------------------------------------------------------------------
    # CRUD
    # -------------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        if not vals_list:
            return super().create(vals_list)
        # clients create none, whatever they name
        self.check_access("create")
        losses = super().create([self._prepare_values(vals) for vals in vals_list])
        cards = self.env["key.account"].sudo()
        for company, lost in losses.sudo().grouped("company_id").items():
            cards._ensure(lost.partner_id.ids, company)
        cards._update_losses(losses.partner_id.ids)
        losses.sudo().filtered(lambda loss: loss.state == "lost")._stop_visits()
        return losses

    def write(self, vals):
        if not self:
            return super().write(vals)
        self._check_editable(vals)
        partners = self.partner_id
        if vals.get("partner_id"):
            partner = self.env["res.partner"].browse(vals["partner_id"])
            vals = {**vals, "partner_id": partner.commercial_partner_id.id}
        res = super().write(vals)
        if {"company_id", "date", "date_returned", "partner_id"} & vals.keys():
            self.env["key.account"].sudo()._update_losses(
                (partners | self.partner_id).ids
            )
        if "date_win_back" in vals:
            self.env["key.account.due"].sudo()._refresh_touched(self.partner_id.ids)
        return res

    def unlink(self):
        if not self:
            return super().unlink()
        partners = self.partner_id
        res = super().unlink()
        self.env["key.account"].sudo()._update_losses(partners.ids)
        return res

    # -------------------------------------------------------------------------
    # Business
    # -------------------------------------------------------------------------

    def _stop_visits(self):
        """Close the planned visits and plan the one to win the customer back."""
        follow = self.env["key.account.visit.follow"]
        for loss in self:
            company = loss.company_id
            follow._close_for_partners(
                loss.partner_id,
                loss._get_visit_reason(),
                [("company_id", "=", company.id)],
            )
            if loss.date_win_back and company.key_account_planning:
                self.env["key.account.planner"]._plan(
                    company, ["visit"], loss.partner_id.ids, [], horizon=False
                )

    def _return(self):
        """Close the losses, and let the cadence go on in place of what was planned to
        win the customers back."""
        res = super()._return()
        visits = self.env["key.account.visit"]
        visits.search(
            [
                ("loss_id", "in", self.ids),
                ("state", "=", "planned"),
                ("is_date_fixed", "=", False),
            ]
        )._close(self.env._("The customer came back"))
        for company, losses in self.grouped("company_id").items():
            if company.key_account_planning:
                visits._generate(losses.partner_id, company)
        return res
