from markupsafe import Markup

from odoo import api, fields, models
from odoo.tools import is_html_empty

from . import bounds, words

# After Rackham and De Vincentis, "Rethinking the Sales Force".
VALUE_TYPES = [
    ("intrinsic", "Intrinsic"),
    ("extrinsic", "Extrinsic"),
    ("strategic", "Strategic"),
]
# How somebody does business says how to treat them, whatever they make.
BUSINESS_KINDS = [
    ("industrial", "Industrial"),
    ("channel", "Channel"),
    ("service", "Service"),
    ("retail", "Retail"),
]
# What a strategy may ask for: the more, the more specific it is.
CONDITIONS = ("value_type", "industry_id", "business_kind", "tier_id")


class KeyAccountEngagement(models.Model):
    """How to treat a customer, by what it buys on, its industry or kind of business and
    its tier: a few sentences for the rep to read before a visit."""

    _name = "key.account.engagement"
    _inherit = "key.account.form"
    _description = "Engagement Strategy"
    _order = "sequence, id"

    sequence = bounds.Integer(default=10, bounds=bounds.SEQUENCES)
    active = fields.Boolean(default=True)
    value_type = fields.Selection(
        VALUE_TYPES,
        help="Leave empty for customers of every value type.",
    )
    industry_id = fields.Many2one(
        "res.partner.industry",
        index=True,
        ondelete="cascade",
        help="Leave empty for customers of every industry.",
    )
    business_kind = fields.Selection(
        BUSINESS_KINDS,
        string="Kind of Business",
        help="Leave empty for every kind of business. The kind is that of the "
        "customer's industry: Contacts, Configuration, Industries.",
    )
    tier_id = fields.Many2one(
        "key.account.tier",
        index="btree_not_null",
        ondelete="cascade",
        help="Leave empty for customers of every tier.",
    )
    company_id = fields.Many2one(
        "res.company",
        index=True,
        ondelete="cascade",
        help="Leave empty to use the strategy in every company.",
    )
    text = fields.Html(
        string="Strategy",
        required=True,
        translate=True,
        help="Shown to the salesperson on each visit.",
    )

    _value_type_or_industry = models.Constraint(
        "CHECK(value_type IS NOT NULL OR industry_id IS NOT NULL"
        " OR business_kind IS NOT NULL OR tier_id IS NOT NULL)",
        "A strategy is for a value type, an industry, a kind of business or a tier: "
        "choose at least one of them.",
    )
    _engagement_uniq = models.UniqueIndex(
        "(COALESCE(value_type, ''), COALESCE(industry_id, 0),"
        " COALESCE(business_kind, ''), COALESCE(tier_id, 0), COALESCE(company_id, 0)) "
        "WHERE active",
        "There is a strategy for the same customers already: change that one.",
    )

    @api.depends("value_type", "industry_id", "business_kind", "tier_id")
    @api.depends_context("lang")
    def _compute_display_name(self):
        types, kinds = (
            dict(self._fields[name]._description_selection(self.env))
            for name in ("value_type", "business_kind")
        )
        for line in self:
            line.display_name = words.join_facts(
                self.env,
                (
                    types.get(line.value_type),
                    line.industry_id.name,
                    kinds.get(line.business_kind),
                    line.tier_id.name,
                ),
            )

    @api.model
    def _get_lines(self, companies):
        """Return the strategies of ``companies`` and the shared ones, by one query."""
        return self.sudo().search_fetch(
            [("company_id", "in", [*companies.ids, False])],
            [*CONDITIONS, "sequence", "company_id", "text"],
        )

    def _match(self, account, company):
        """Return those of ``self`` that count for a customer: of those that fit, the
        ones that ask for most, in the order of the list.

        One that asks for value type and industry stands alone, one for the value type
        and one for the industry are both shown. An industry tells more than its kind
        of business, and a company's own strategy goes before a shared one for the same
        customers.

        :param account: with what ``company`` decided about it
        """
        # sudo: the kind of an archived industry counts as well
        actual = (
            account.account_value_type,
            account.industry_id.id,
            account.industry_id.sudo().key_account_kind,
            account.account_tier_id.id,
        )
        found = {}
        for line in self:
            asked = line._get_conditions()
            if line.company_id not in (company, company.browse()) or any(
                wanted and wanted != has
                for wanted, has in zip(asked, actual, strict=True)
            ):
                continue
            if line.company_id or asked not in found:
                found[asked] = line
        most = max((sum(map(bool, asked)) for asked in found), default=0)
        best = {
            asked: line
            for asked, line in found.items()
            if sum(map(bool, asked)) == most
        }
        for value_type, industry_id, _, tier_id in list(best):
            if industry_id:
                best.pop((value_type, False, actual[2], tier_id), None)
        return self.browse(
            line.id
            for line in sorted(best.values(), key=lambda line: (line.sequence, line.id))
        )

    def _get_conditions(self):
        """Return what the strategy asks for: value type, industry, kind of business and
        tier."""
        return (
            self.value_type,
            self.industry_id.id,
            self.business_kind,
            self.tier_id.id,
        )

    def _get_html(self):
        """Return the texts under each other, each with what it is about."""
        return Markup().join(
            Markup("<h5>%s</h5>%s") % (line.display_name, line.text)
            for line in self
            if not is_html_empty(line.text)
        )
