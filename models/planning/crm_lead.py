from contextlib import contextmanager

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from ..account.columns import is_among
from ..account.pause import collect, collected

# What moves a due date, or changes who is responsible
DUE_FIELDS = {
    "account_tier_id",
    "active",
    "company_id",
    "engagement_stage",
    "expected_revenue",
    "lost_reason_id",
    "order_ids",
    "partner_id",
    "probability",
    "relationship_level",
    "stage_id",
    "team_id",
    "type",
    "user_id",
    "won_status",
}


class CrmLead(models.Model):
    _inherit = "crm.lead"

    is_visit_overdue = fields.Boolean(
        compute="_compute_is_visit_overdue",
        search="_search_is_visit_overdue",
        groups="sales_team.group_sale_salesman",
        help="The due date of a visit to the customer, or to the lead while it has "
        "none, has passed.",
    )

    @api.depends_context("company", "uid", "tz")
    def _compute_is_visit_overdue(self):
        overdue = self.with_context(active_test=False).search(
            [("id", "in", self.ids), ("is_visit_overdue", "=", True)]
        )
        for lead in self:
            lead.is_visit_overdue = lead in overdue

    def _search_is_visit_overdue(self, operator, value):
        if operator != "in":
            return NotImplemented
        alone = Domain.OR(
            is_among(
                "id",
                self.env[model]._search(
                    Domain("partner_id", "=", False)
                    & Domain("lead_id", "!=", False)
                    & Domain("is_overdue", "=", True)
                ),
                "lead_id",
            )
            for model in ("key.account.due", "key.account.visit")
        )
        accounts = self.env["key.account"]
        here = self.env.company._get_key_account_home()
        in_company = Domain.OR(
            Domain(
                "company_id",
                "in",
                [
                    *home._get_key_account_branches().ids,
                    *([False] if home == here else []),
                ],
            )
            & is_among(
                "partner_id.commercial_partner_id",
                accounts._search(
                    [("company_id", "=", home.id), ("is_overdue", "=", True)]
                ),
                "partner_id",
            )
            for home in self.env.companies._get_key_account_keepers()
        )
        return (Domain("partner_id", "=", False) & alone) | in_company

    # Most leads have neither: known by one query for all that are read together.
    has_key_account_visits = fields.Boolean(
        compute="_compute_has_key_account_records",
        compute_sudo=True,
        groups="base.group_system",
        help="Technical: visits or targets name the lead.",
    )
    has_key_account_dues = fields.Boolean(
        compute="_compute_has_key_account_records",
        compute_sudo=True,
        groups="base.group_system",
        help="Technical: due dates name the lead.",
    )

    def _compute_has_key_account_records(self):
        models_ = ("key.account.visit", "key.account.target", "key.account.due")
        ids = self._origin.ids
        named = set()
        if ids:
            for model in models_:
                self.env[model].flush_model(["lead_id"])
            named = set(
                self.env.execute_query(
                    SQL(" UNION ").join(
                        SQL(
                            "SELECT %s, lead_id FROM %s WHERE lead_id = ANY(%s)",
                            model == "key.account.due",
                            SQL.identifier(self.env[model]._table),
                            ids,
                        )
                        for model in models_
                    )
                )
            )
        for lead in self:
            lead.has_key_account_visits = (False, lead._origin.id) in named
            lead.has_key_account_dues = (True, lead._origin.id) in named

    @api.model
    def _forget_key_account_records(self):
        """Look again which leads visits, targets and due dates name."""
        self.invalidate_model(
            ["has_key_account_dues", "has_key_account_visits"], flush=False
        )

    # -------------------------------------------------------------------------
    # Business
    # -------------------------------------------------------------------------

    def _filter_due(self, vals):
        """Return the leads without a customer if ``vals`` moves what is due there. A
        salesperson alone makes nothing due, unless of another company."""
        names = DUE_FIELDS & vals.keys()
        if not names:
            return self.browse()
        # where it follows once for many, nobody asks for each
        all_count = names != {"user_id"} or collect(self.env, "lead_dues", {})
        leads = self if all_count else self._filter_awaited()
        return leads.filtered(lambda lead: not lead.partner_id)

    def _filter_visited(self):
        """Return the leads that visits or targets name, whoever may read these."""
        return self.filtered(lambda lead: lead.sudo().has_key_account_visits)

    def _filter_awaited(self):
        """Return the leads at which something is due, whoever may read that."""
        return self.filtered(lambda lead: lead.sudo().has_key_account_dues)

    @contextmanager
    def _changing_one_by_one(self):
        """Within it, leads may change one by one: what is due there follows once."""

        def refresh(ids):
            self.env["crm.lead"].browse(ids).exists()._refresh_key_account_dues()

        with collected(self.env, "lead_dues", refresh):
            yield

    def _refresh_key_account_dues(self):
        """Refresh what is due at these leads: those that nothing is asked for, and
        wasn't, are many."""
        if collect(self.env, "lead_dues", dict.fromkeys(self.ids)):
            return
        leads = self.sudo().filtered(
            lambda lead: lead.account_tier_id or lead.has_key_account_dues
        )
        self.env["key.account.due"].sudo()._refresh_touched([], leads.ids)
