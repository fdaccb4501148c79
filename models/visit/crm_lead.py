from collections import defaultdict
from contextlib import contextmanager

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain

from ..account.columns import INDIRECT_OPERATORS, is_among
from ..account.pause import collect, collected

# Which other visits deny that the last one, or the next one, fits a condition
BEYOND = {
    "done": {"=": ">", "<": ">=", "<=": ">"},
    "planned": {"=": "<", ">": "<=", ">=": "<"},
}


class CrmLead(models.Model):
    _inherit = "crm.lead"

    last_visit_date = fields.Date(
        string="Last Visit",
        compute="_compute_visit_dates",
        search="_search_last_visit_date",
        help="The last one that took place, a call or mail too.",
        groups="sales_team.group_sale_salesman",
    )
    next_visit_date = fields.Date(
        string="Next Visit",
        compute="_compute_visit_dates",
        search="_search_next_visit_date",
        groups="sales_team.group_sale_salesman",
    )

    @api.depends("partner_id.commercial_partner_id", "company_id")
    @api.depends_context("company", "uid")
    def _compute_visit_dates(self):
        # The rules of accounts and visits apply: a rep sees the dates of own
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
                # sudo: a branch is kept by a company that the reader may not work in
                company = lead.sudo().company_id or self.env.company
                company = company._get_key_account_home()
                key = (lead.partner_id.commercial_partner_id, company)
            lead.last_visit_date, lead.next_visit_date = dates[key]

    def _search_last_visit_date(self, operator, value):
        return self._search_visit_date("last_visit_date", operator, value)

    def _search_next_visit_date(self, operator, value):
        return self._search_visit_date("next_visit_date", operator, value)

    def _search_visit_date(self, field, operator, value):
        """Search by the dates of the customer, or of the lead while it has none."""
        if operator in INDIRECT_OPERATORS:
            return NotImplemented
        state, visit_field = {
            "last_visit_date": ("done", "date_done"),
            "next_visit_date": ("planned", "date_planned"),
        }[field]
        visits = Domain("partner_id", "=", False) & Domain("state", "=", state)
        visits &= Domain("lead_id", "!=", False)

        def is_visited(domain):
            leads = self.env["key.account.visit"]._search(visits & domain)
            return is_among("id", leads, "lead_id")

        def is_dated(operator, day):
            # of several visits the last one counts, of planned ones the first
            found = is_visited(Domain(visit_field, operator, day))
            if operator in BEYOND[state]:
                found &= ~is_visited(Domain(visit_field, BEYOND[state][operator], day))
            return found

        if operator == "in":
            alone = Domain.OR(is_dated("=", day) for day in value if day)
            if False in value:
                alone |= ~is_visited(Domain.TRUE)
        else:
            alone = is_dated(operator, value)
        by_account = self.env["res.partner"]._search_account_date(
            field, operator, value, path="partner_id.commercial_partner_id"
        )
        return (Domain("partner_id", "=", False) & alone) | (
            Domain("partner_id", "!=", False) & by_account
        )

    # -------------------------------------------------------------------------
    # Actions
    # -------------------------------------------------------------------------

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

    # -------------------------------------------------------------------------
    # Business
    # -------------------------------------------------------------------------

    @contextmanager
    def _changing_one_by_one(self):
        """Visits are handed over once, too."""

        def hand_over(previous_users):
            leads = self.env["crm.lead"].browse(previous_users).exists()
            leads._follow_salesperson(previous_users)

        with (
            super()._changing_one_by_one(),
            collected(self.env, "lead_users", hand_over),
        ):
            yield

    def _follow_salesperson(self, previous_users):
        """Hand the planned visits of the leads over whose salesperson isn't the
        previous one.

        :param dict previous_users: the salesperson's id before, by lead id
        """
        if not previous_users or collect(self.env, "lead_users", previous_users):
            return
        # whether they are visited is known for all that are read together
        visited = self._filter_visited().filtered(
            lambda lead: lead.user_id.id != previous_users[lead.id]
        )
        if visited:
            self.env["key.account.visit.follow"].sudo()._hand_over_leads(
                visited, previous_users
            )

    def _filter_to_other_company(self, vals):
        """Return the leads that get a salesperson or team of another company. Nothing
        is read afterwards: core works out teams at once for all that were written."""
        names = [name for name in ("team_id", "user_id") if name in vals]
        others = {name: self[name].browse(vals[name] or ()).sudo() for name in names}
        for name, other in others.items():
            # at once
            (self.sudo()[name] | other).mapped("company_id")
        return self.filtered(
            lambda lead: any(
                lead.sudo()[name].company_id != others[name].company_id
                for name in names
            )
        )

    def _follow_company(self):
        """Have tier and level of the leads follow another company."""
        for name in ("account_tier_id", "relationship_level"):
            self.env.add_to_compute(self._fields[name], self)

    def _release_visits(self):
        """Leave the visits of customers to these when the leads are deleted.

        Code that deletes leads as the superuser knows what it does: their visits go
        along.

        :raise UserError: if a lead without a customer was visited
        """
        visits = self.env["key.account.visit"].sudo()
        if named := self._filter_visited():
            visits = visits.search([("lead_id", "in", named.ids)])
        # These belong to the customer, and stay there.
        visits.filtered("partner_id").lead_id = False
        visited = visits.filtered(
            lambda visit: visit.state == "done" and not visit.partner_id
        )
        if visited and not self.env.su:
            raise UserError(
                self.env._(
                    "%s has been visited: archive the lead to keep the history.",
                    visited[0].lead_id.name,
                )
            )
