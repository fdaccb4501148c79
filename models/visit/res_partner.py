from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain

from ..account.hidden import search_shown


class ResPartner(models.Model):
    """The visits of customers."""

    _inherit = "res.partner"

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
        help="The reader's own visit first; else that of the salesperson, else that of "
        "an executive.",
    )
    next_visit_user_id = fields.Many2one(
        "res.users",
        string="Whose Visit",
        compute="_compute_visit_dates",
        groups="sales_team.group_sale_salesman",
        help="The executive whose visit the next one is; empty: the salesperson's.",
    )
    key_account_visit_ids = fields.One2many(
        "key.account.visit",
        "partner_id",
        search="_search_key_account_visit_ids",
        groups="sales_team.group_sale_salesman",
    )

    # Apart from the figures: the list shows the dates alone.
    @api.depends("key_account_id")
    @api.depends_context("company", "uid")
    def _compute_visit_dates(self):
        for partner, account in self._get_readable_accounts():
            partner.last_visit_date = account.last_visit_date
            partner.next_visit_date = account.next_visit_date
            partner.next_visit_user_id = account.next_visit_user_id

    def _search_last_visit_date(self, operator, value):
        return self._search_account_date("last_visit_date", operator, value)

    def _search_next_visit_date(self, operator, value):
        return self._search_account_date("next_visit_date", operator, value)

    def _search_key_account_visit_ids(self, operator, value):
        return search_shown("key_account_visit_ids", operator, value)

    def _check_not_visited(self):
        """Refuse to delete customers with done visits.

        :raise UserError: if one was visited
        """
        visited = (
            self.env["key.account.visit"]
            .sudo()
            .search([("partner_id", "in", self.ids), ("state", "=", "done")], limit=1)
        )
        if visited:
            raise UserError(
                self.env._(
                    "%s has been visited: archive the customer to keep the history.",
                    visited.partner_id.display_name,
                )
            )

    def _check_not_met(self):
        """Refuse to delete contacts who were met at a visit.

        :raise UserError: if one was met
        """
        visit = (
            self.env["key.account.visit"]
            .sudo()
            .search([("contact_ids", "in", self.ids), ("state", "=", "done")], limit=1)
        )
        if visit:
            contact = visit.contact_ids & self.sudo()
            raise UserError(
                self.env._(
                    "%s was met at a visit: archive the contact to keep the history.",
                    contact[0].display_name,
                )
            )

    # -------------------------------------------------------------------------
    # Actions
    # -------------------------------------------------------------------------

    def action_view_key_account_visits(self):
        self._check_opens_account()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_key_account.key_account_visit_action"
        )
        account = self.commercial_partner_id
        action["domain"] = [("partner_id", "=", account.id)]
        action["context"] = {"default_partner_id": account.id}
        return action

    def action_log_key_account_visit(self):
        """Open the report of a visit that just took place.

        :raise UserError: if the customer is archived
        """
        self._check_opens_account()
        return self.env["key.account.visit"]._get_log_action(self)

    # -------------------------------------------------------------------------
    # Business
    # -------------------------------------------------------------------------

    def _follow_salesperson(self, previous_users):
        """Hand the accounts over whose salesperson isn't the previous one."""
        if previous_users:
            changed = self.sudo().filtered(
                lambda partner: partner.user_id.id != previous_users[partner.id]
            )
            changed._hand_over_account(previous_users)

    def _hand_over_account(self, previous_users):
        """Give account, history and planned visits to the new salesperson.

        :param dict previous_users: the salesperson's id before, by customer id
        """
        self.env["key.account"].search(
            [("partner_id", "in", self.ids)]
        )._copy_salesperson()
        self.env["key.account.visit.follow"]._hand_over_partners(self, previous_users)

    def _follow_time_zone(self):
        """Bring the visits of salespeople who are in another time zone now to the days
        that their meetings are on there."""
        self.env["key.account.visit"].sudo().search(
            [
                ("user_id.partner_id", "in", self.ids),
                ("state", "=", "planned"),
                ("calendar_event_id", "!=", False),
            ]
        )._write_from_meetings()

    def _refresh_buying_center(self, accounts):
        """Whom to see follows the contacts."""
        res = super()._refresh_buying_center(accounts)
        if accounts:
            self.env["key.account.visit.follow"].sudo()._follow_contacts(
                Domain("partner_id", "in", accounts.ids)
                | Domain("target_contact_id", "child_of", self.ids)
            )
        return res

    def _follow_commercial_entity(self):
        """Give what is kept of partners that became contacts to their company."""
        for model in (
            "key.account.visit.follow",
            "key.account.loss",
            "key.account.target",
        ):
            self.env[model].sudo()._follow_commercial_entity(self)
