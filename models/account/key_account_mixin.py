from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

# Where a search method doesn't know them, core makes the opposites of the others, and
# refuses the rest with a sentence.
HIERARCHICAL_OPERATORS = {"child_of", "parent_of"}
INDIRECT_OPERATORS = {*Domain.NEGATIVE_OPERATORS, *HIERARCHICAL_OPERATORS}


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
    _inherit = "key.account.shown"
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
    # sudo: whoever may read the row may know where it is
    city = fields.Char(
        compute="_compute_area", search="_search_city", compute_sudo=True
    )
    country_id = fields.Many2one(
        "res.country",
        compute="_compute_area",
        search="_search_country_id",
        compute_sudo=True,
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

    # Not by the customer's address: to look who lives there costs each change of one.
    @api.depends("partner_id", "lead_id")
    def _compute_area(self):
        for record in self:
            document = record._get_document()
            record.city = document.city
            record.country_id = document.country_id

    def _search_city(self, operator, value):
        return self._search_area("city", operator, value)

    def _search_country_id(self, operator, value):
        return self._search_area("country_id", operator, value)

    def _search_area(self, name, operator, value):
        if operator in HIERARCHICAL_OPERATORS:
            return NotImplemented
        # _field_to_sql makes a column of it
        return Domain(name, operator, value)

    def _field_to_sql(self, alias, field_expr, query=None):
        if field_expr not in ("city", "country_id") or query is None:
            return super()._field_to_sql(alias, field_expr, query)
        self._check_field_access(self._fields[field_expr], "read")
        columns = []
        for name in ("partner_id", "lead_id"):
            # sudo: as it is computed
            model, table = self._fields[name].join(self.sudo(), alias, query)
            columns.append(model._field_to_sql(table, field_expr, query))
        return SQL(
            "CASE WHEN %s IS NULL THEN %s ELSE %s END",
            self._field_to_sql(alias, "partner_id", query),
            *reversed(columns),
        )

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

    def _get_document(self):
        """Return the customer, or the lead while it has none."""
        return self.partner_id or self.lead_id

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
