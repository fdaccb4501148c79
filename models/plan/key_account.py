from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL


class KeyAccount(models.Model):
    _inherit = "key.account"

    has_plan = fields.Boolean(
        string="Account Plan",
        compute="_compute_has_plan",
        search="_search_has_plan",
        help="A plan is in force today, of those that you may read.",
    )

    # Not kept: a plan begins and ends by itself.
    @api.depends("partner_id", "company_id")
    @api.depends_context("uid", "tz")
    def _compute_has_plan(self):
        planned = self.search(
            Domain("id", "in", self._origin.ids) & Domain("has_plan", "=", True)
        )
        for account in self:
            account.has_plan = account._origin in planned

    def _search_has_plan(self, operator, value):
        if operator != "in":
            return NotImplemented
        Plan = self.env["key.account.plan"]
        Plan.flush_model(["company_id", "partner_id"])
        plans = Plan._search(Plan._get_in_force_domain(fields.Date.context_today(self)))
        return Domain(
            "id",
            "in",
            SQL(
                """(
                SELECT card.id
                  FROM key_account card
                  JOIN key_account_plan plan
                    ON plan.partner_id = card.partner_id
                   AND plan.company_id = card.company_id
                 WHERE plan.id IN %s
                )""",
                plans.subselect(),
            ),
        )
