from odoo import api, fields, models
from odoo.fields import Domain

from .columns import INDIRECT_OPERATORS


def get_account_key(partner_id, lead_id, company_id, track):
    """Return what at most one visit at a time is planned for: a customer, or a lead
    that has none, on a track. 0 stands for none, so that keys can be sorted."""
    return (partner_id or 0, 0 if partner_id else lead_id or 0, company_id, track)


def get_account_keys(rows):
    """Return the :func:`get_account_key` of each of the ``rows``, dicts."""
    return [
        get_account_key(
            row["partner_id"], row["lead_id"], row["company_id"], row["track"]
        )
        for row in rows
    ]


def get_readonly_names(model, vals_list):
    """Return the names of read-only fields in ``vals_list``: what no form writes, no
    client writes."""
    return {
        name
        for vals in vals_list
        for name in vals
        if name in model._fields and model._fields[name].readonly
    }


class KeyAccountMixin(models.AbstractModel):
    """What visits, due dates and targets share: ``partner_id``, or ``lead_id`` while
    the lead has no customer, ``company_id`` and ``track``."""

    _name = "key.account.mixin"
    _inherit = "key.account.located"
    _description = "Account to Visit"

    # A copy for the record rules: a rep sees what belongs to own customers, whoever
    # visits them.
    account_user_id = fields.Many2one(
        "res.users",
        string="Customer's Salesperson",
        compute="_compute_account_user_id",
        store=True,
        index=True,
    )

    def _search_name(self, operator, value):
        """Search by the customer, or the lead while it has none."""
        if operator in INDIRECT_OPERATORS:
            return NotImplemented
        alone = Domain("partner_id", "=", False)
        return Domain("partner_id.complete_name", operator, value) | (
            alone & Domain("lead_id.name", operator, value)
        )

    # Leads without a customer say themselves when theirs changes: most have nothing
    # here, and to search for it costs as much as to change them.
    @api.depends("partner_id.user_id", "lead_id")
    def _compute_account_user_id(self):
        for record in self:
            record.account_user_id = (record.partner_id or record.lead_id).user_id

    def _get_document_names(self):
        return ["partner_id", "lead_id"]

    def _get_document(self):
        """Return the customer, or the lead while it has none."""
        return self.partner_id or self.lead_id

    def _filter_within_reach(self):
        """Return what the user may see or nobody is responsible for. Who visits the
        customer of a colleague neither reads nor moves what is planned there."""
        # Called as sudo: what one visit brings about concerns others. Not a question of
        # the companies that happen to be selected.
        companies = self.env.user.company_ids
        owned = self.filtered("user_id")
        seen = (
            owned.sudo(False)
            .with_context(allowed_company_ids=companies.ids)
            ._filtered_access("read")
        )
        return (self - owned) | seen.with_env(self.env)

    def _get_account_key(self):
        return get_account_key(
            self.partner_id.id, self.lead_id.id, self.company_id.id, self.track
        )

    def _open_document(self):
        """Return the action that opens the customer, or the lead while it has none."""
        self.ensure_one()
        record = self._get_document()
        return {
            "type": "ir.actions.act_window",
            "res_model": record._name,
            "res_id": record.id,
            "view_mode": "form",
            "views": [[False, "form"]],
        }
