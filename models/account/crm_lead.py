from odoo import api, fields, models
from odoo.exceptions import AccessError
from odoo.tools import SQL

from ...const import ENGAGEMENT_STAGES
from . import clock
from .key_account_form import check_named

# What tier and level of a lead are computed of.
NAMED_FIELDS = {"company_id", "partner_id", "team_id"}
FOLLOWING_FIELDS = {"account_tier_id", "engagement_stage", "relationship_level"}


class CrmLead(models.Model):
    _inherit = "crm.lead"

    engagement_stage = fields.Selection(
        ENGAGEMENT_STAGES,
        compute="_compute_engagement_stage",
        store=True,
        groups="sales_team.group_sale_salesman",
        help="What is going on: a quotation was sent and holds, a contract is running, "
        "an opportunity or a lead is open, or none of these: a target.",
    )

    @api.depends(
        "order_ids.state",
        "order_ids.validity_date",
        "order_ids.invoice_status",
        "type",
        "active",
        "won_status",
    )
    def _compute_engagement_stage(self):
        for lead in self:
            # sudo: orders of colleagues count too
            orders = lead.sudo().order_ids
            if orders.filtered(
                lambda order: (
                    order.state == "sent"
                    and (
                        not order.validity_date
                        or order.validity_date >= clock.get_today(order.company_id)
                    )
                )
            ):
                lead.engagement_stage = "quotation"
            elif orders.filtered(
                lambda order: (
                    order.state == "sale" and order.invoice_status != "invoiced"
                )
            ):
                lead.engagement_stage = "contract"
            elif not lead.active or lead.won_status != "pending":
                lead.engagement_stage = "target"
            else:
                lead.engagement_stage = lead.type

    @api.model
    def _check_following_fields(self, vals):
        """Refuse to set what follows from elsewhere.

        :raise AccessError: if ``vals`` sets it
        """
        if FOLLOWING_FIELDS & vals.keys() and not self.env.su:
            raise AccessError(
                self.env._(
                    "Tier, level and stage of a lead follow its customer and orders: "
                    "nobody sets them."
                )
            )

    def _check_named(self, values_list):
        """Refuse what a client names without the right to read it, where tier and level
        would tell of it.

        :raise AccessError: if the user may not read one of them
        """
        check_named(
            self,
            [
                {name: values[name] for name in NAMED_FIELDS & values.keys()}
                for values in values_list
            ],
        )

    # -------------------------------------------------------------------------
    # Business
    # -------------------------------------------------------------------------

    def _filter_told(self, company):
        """Return the leads that may tell of ``company``: while one isn't saved, a form
        can name anybody's salesperson, and so any company."""
        if company in self.env.user.company_ids:
            return self
        return self.filtered("id")

    def _get_key_account_company(self, fallback=None):
        """Return the company whose policy counts for the lead: its own, its team's or
        its salesperson's. Of a branch that isn't apart: the one that keeps its
        accounts. A lead that has none of them is of the only company there is, of none
        where there are several.

        :param fallback: the only company, for those who ask for many leads
        """
        company = self._get_named_company()
        if not company:
            if fallback is None:
                fallback = self.env["res.company"]._get_key_account_fallback()
            company = fallback
        home = company._get_key_account_home() if company else company
        return home.with_env(self.env)

    def _get_named_company(self):
        """Return the company of the lead, its team or its salesperson, if there is
        any."""
        self.ensure_one()
        lead = self.sudo()
        return lead.company_id or lead.team_id.company_id or lead.user_id.company_id

    def _group_by_key_account_company(self):
        """Return {company: leads}, see :meth:`_get_key_account_company`."""
        groups = {}
        for leads in self.grouped(lambda lead: lead._get_named_company()).values():
            home = leads[0]._get_key_account_company()
            groups[home] = groups.get(home, self.browse()) | leads
        return groups

    @api.model
    def _get_key_account_company_sql(self):
        """Return the same in SQL, of a query's ``lead``, its ``team`` and its
        ``owner``, the salesperson."""
        companies = self.env["res.company"]
        return companies._get_key_account_home_sql(
            SQL(
                """
                COALESCE(lead.company_id, team.company_id, owner.company_id, %s::int)
                """,
                companies._get_key_account_fallback().id or None,
            )
        )

    def _get_previous_users(self, vals):
        """Return {lead id: salesperson's id} before ``vals`` changes it, empty if it
        doesn't."""
        if "user_id" not in vals:
            return {}
        return {lead.id: lead.user_id.id for lead in self}

    def _filter_to_change(self, vals, name):
        """Return the leads of which ``vals`` changes the many-to-one ``name``."""
        if name not in vals:
            return self.browse()
        return self.filtered(lambda lead: lead[name].id != (vals[name] or False))
