from collections import defaultdict

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.fields import Domain
from odoo.tools import SQL

from ...const import ENGAGEMENT_STAGES, RELATIONSHIP_LEVELS

FOLLOWING_FIELDS = {"account_tier_id", "engagement_stage", "relationship_level"}


class CrmLead(models.Model):
    _inherit = "crm.lead"

    account_tier_id = fields.Many2one(
        "key.account.tier",
        compute="_compute_account_tier_id",
        store=True,
        index="btree_not_null",
        ondelete="restrict",
        groups="sales_team.group_sale_salesman",
        help="Tier of the customer. Without a customer: the tier that the expected "
        "revenue would have, so a prospective one.",
    )
    account_tier_color = fields.Integer(
        related="account_tier_id.color",
        aggregator=None,
        groups="sales_team.group_sale_salesman",
    )
    relationship_level = fields.Selection(
        RELATIONSHIP_LEVELS,
        compute="_compute_relationship_level",
        store=True,
        groups="sales_team.group_sale_salesman",
        help="Level of the customer. Without a customer: transactional.",
    )
    engagement_stage = fields.Selection(
        ENGAGEMENT_STAGES,
        compute="_compute_engagement_stage",
        store=True,
        groups="sales_team.group_sale_salesman",
        help="What is going on: a quotation is out, a contract is running, an "
        "opportunity or a lead is open, or none of these: a target.",
    )
    last_visit_date = fields.Date(
        string="Last Visit",
        compute="_compute_visit_dates",
        search="_search_last_visit_date",
        groups="sales_team.group_sale_salesman",
    )
    next_visit_date = fields.Date(
        string="Next Visit",
        compute="_compute_visit_dates",
        search="_search_next_visit_date",
        groups="sales_team.group_sale_salesman",
    )

    @api.depends(
        "partner_id.commercial_partner_id.key_account_ids.tier_id",
        "company_id",
        "team_id",
        "user_id",
        "expected_revenue",
    )
    def _compute_account_tier_id(self):
        policies = self.env["key.account.policy"].sudo()
        for company, leads in self.grouped(
            lambda lead: lead._get_key_account_company()
        ).items():
            for lead in leads.filtered("partner_id"):
                account = lead.partner_id.sudo().with_company(company)
                lead.account_tier_id = account.commercial_partner_id.account_tier_id
            prospects = leads.filtered(lambda lead: not lead.partner_id)
            policy = policies._get_for_company(company)
            if not prospects or not policy:
                prospects.account_tier_id = False
                continue
            cutoffs = policy._get_cutoffs(company)
            last_tier = policy._get_tiers()[-1:]
            for lead in prospects:
                lead.account_tier_id = cutoffs and next(
                    (
                        tier
                        for tier, figure in cutoffs
                        if lead.expected_revenue > 0 and lead.expected_revenue >= figure
                    ),
                    last_tier,
                )

    @api.depends(
        "partner_id.commercial_partner_id.key_account_ids.relationship_level",
        "company_id",
        "team_id",
        "user_id",
    )
    def _compute_relationship_level(self):
        for company, leads in self.grouped(
            lambda lead: lead._get_key_account_company()
        ).items():
            for lead in leads:
                account = lead.partner_id.sudo().with_company(company)
                lead.relationship_level = (
                    account.commercial_partner_id.relationship_level or "transactional"
                )

    @api.depends(
        "order_ids.state", "order_ids.invoice_status", "type", "active", "won_status"
    )
    def _compute_engagement_stage(self):
        carts = self.env["sale.order"]._fields.get("website_id")
        for lead in self:
            # sudo: orders of colleagues count too
            orders = lead.sudo().order_ids
            if orders.filtered(
                lambda order: (
                    order.state == "sent"
                    or (order.state == "draft" and not (carts and order.website_id))
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

    @api.depends("partner_id.commercial_partner_id", "company_id")
    @api.depends_context("uid")
    def _compute_visit_dates(self):
        # The rules of scorecards and visits apply: a rep sees the dates of own
        # accounts and leads.
        accounts = self.partner_id.commercial_partner_id
        dates = defaultdict(lambda: (False, False))
        if accounts:
            cards = self.env["key.account"].search_fetch(
                [("partner_id", "in", accounts.ids)],
                ["partner_id", "company_id", "last_visit_date", "next_visit_date"],
            )
            for card in cards:
                dates[card.partner_id, card.company_id] = (
                    card.last_visit_date,
                    card.next_visit_date,
                )
        alone = self.filtered(lambda lead: not lead.partner_id and lead._origin)
        if alone:
            groups = self.env["key.account.visit"]._read_group(
                [("lead_id", "in", alone._origin.ids), ("partner_id", "=", False)],
                ["lead_id", "state"],
                ["date_done:max", "date_planned:min"],
            )
            for lead, state, last_date, next_date in groups:
                last, next_ = dates[lead]
                if state == "done":
                    dates[lead] = (last_date, next_)
                elif state == "planned":
                    dates[lead] = (last, next_date)
        for lead in self:
            key = lead._origin
            if lead.partner_id:
                company = lead.company_id or self.env.company
                key = (lead.partner_id.commercial_partner_id, company)
            lead.last_visit_date, lead.next_visit_date = dates[key]

    def _search_last_visit_date(self, operator, value):
        return self._search_visit_date("last_visit_date", operator, value)

    def _search_next_visit_date(self, operator, value):
        return self._search_visit_date("next_visit_date", operator, value)

    def _search_visit_date(self, field, operator, value):
        """Search by the dates of the customer, or of the lead while it has none."""
        if operator in Domain.NEGATIVE_OPERATORS:
            return NotImplemented
        state, visit_field = {
            "last_visit_date": ("done", "date_done"),
            "next_visit_date": ("planned", "date_planned"),
        }[field]
        visits = Domain("partner_id", "=", False) & Domain("state", "=", state)
        leads = self.env["key.account.visit"]._search(
            visits & Domain("lead_id", "!=", False)
            if operator == "in" and False in value
            else visits & Domain(visit_field, operator, value)
        )
        alone = Domain("partner_id", "=", False)
        if operator == "in" and False in value:
            alone &= Domain("id", "not in", leads.subselect("lead_id"))
        else:
            alone &= Domain("id", "in", leads.subselect("lead_id"))
        return alone | (
            Domain("partner_id", "!=", False)
            & Domain(f"partner_id.{field}", operator, value)
        )

    # -------------------------------------------------------------------------
    # CRUD
    # -------------------------------------------------------------------------

    def write(self, vals):
        if FOLLOWING_FIELDS & vals.keys() and not self.env.su:
            raise AccessError(
                self.env._(
                    "Tier, level and stage of a lead follow its customer and orders: "
                    "nobody sets them."
                )
            )
        Visit = self.env["key.account.visit"].sudo()
        if vals.get("active") is False:
            # Before core deletes the activities of archived records.
            Visit._close_for_leads(self, self.env._("Lead archived"))
        previous_users = {}
        if "user_id" in vals:
            previous_users = {lead.id: lead.user_id.id for lead in self}
        if "partner_id" in vals:
            self.env["key.account"]._touch(self.partner_id)
        res = super().write(vals)
        if vals.get("partner_id"):
            Visit._follow_lead_customer(self)
        if vals.get("company_id"):
            Visit._follow_lead_company(self)
        changed = self.filtered(
            lambda lead: lead.user_id.id != previous_users.get(lead.id, lead.user_id.id)
        )
        if changed:
            Visit._hand_over_leads(changed, previous_users)
        if {"stage_id", "probability"} & vals.keys():
            Visit._close_for_leads(
                self.filtered(lambda lead: lead.won_status == "won"),
                self.env._("Lead won"),
            )
        return res

    @api.ondelete(at_uninstall=False)
    def _unlink_except_visited(self):
        self.env["key.account"]._touch(self.partner_id)
        visits = (
            self.env["key.account.visit"].sudo().search([("lead_id", "in", self.ids)])
        )
        # These belong to the customer, and stay there.
        visits.filtered("partner_id").lead_id = False
        visited = visits.filtered(
            lambda visit: visit.state == "done" and not visit.partner_id
        )
        if visited:
            raise UserError(
                self.env._(
                    "%s has been visited: archive the lead to keep the history.",
                    visited[0].lead_id.name,
                )
            )

    def action_set_lost(self, **additional_values):
        self.env["key.account.visit"].sudo()._close_for_leads(
            self, self.env._("Lead lost")
        )
        return super().action_set_lost(**additional_values)

    def _merge_dependences(self, opportunities):
        # Before core deletes the leads that were merged, and their visits with them
        self.env["key.account.visit"].sudo()._merge_leads(self, opportunities)
        return super()._merge_dependences(opportunities)

    def _get_key_account_company(self, fallback=None):
        """Return the company whose policy counts for the lead: its own, its team's or
        its salesperson's; the first company for a lead that has none of them, so that
        it counts once.

        :param fallback: the first company, for those who ask for many leads
        """
        self.ensure_one()
        lead = self.sudo()
        return (
            lead.company_id
            or lead.team_id.company_id
            or lead.user_id.company_id
            or fallback
            or self.env["res.company"]._get_key_account_fallback()
        ).with_env(self.env)

    @api.model
    def _get_key_account_company_sql(self):
        """Return the same in SQL, of a query's ``lead``, its ``team`` and its
        ``owner``, the salesperson."""
        return SQL(
            "COALESCE(lead.company_id, team.company_id, owner.company_id, %s)",
            self.env["res.company"]._get_key_account_fallback().id,
        )

    def action_view_key_account_visits(self):
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_key_account.key_account_visit_action"
        )
        account = self.partner_id.commercial_partner_id
        if account:
            action["domain"] = [("partner_id", "=", account.id)]
            action["context"] = {
                "default_partner_id": account.id,
                "default_lead_id": self.id,
            }
        else:
            action["domain"] = [("lead_id", "=", self.id)]
            action["context"] = {"default_lead_id": self.id}
        return action

    def action_log_key_account_visit(self):
        """Open the report of a visit that just took place.

        :raise UserError: if the customer is archived
        """
        self.ensure_one()
        return self.env["key.account.visit"]._get_log_action(self.partner_id, self)
