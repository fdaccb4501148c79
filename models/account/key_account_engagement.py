from markupsafe import Markup

from odoo import api, fields, models
from odoo.tools import is_html_empty

from . import bounds

# After Rackham and De Vincentis, "Rethinking the Sales Force".
VALUE_TYPES = [
    ("intrinsic", "Intrinsic"),
    ("extrinsic", "Extrinsic"),
    ("strategic", "Strategic"),
]


class KeyAccountEngagement(models.Model):
    """How to treat a customer, by what it buys on and by its industry: a few sentences
    for the rep to read before a visit."""

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
        "CHECK(value_type IS NOT NULL OR industry_id IS NOT NULL)",
        "A strategy is for a value type or an industry: choose at least one of them.",
    )
    _engagement_uniq = models.UniqueIndex(
        "(COALESCE(value_type, ''), COALESCE(industry_id, 0), COALESCE(company_id, 0)) "
        "WHERE active",
        "There is a strategy for this value type and industry already: change that "
        "one.",
    )

    @api.depends("value_type", "industry_id")
    def _compute_display_name(self):
        types = dict(self._fields["value_type"]._description_selection(self.env))
        for line in self:
            parts = [types.get(line.value_type), line.industry_id.name]
            line.display_name = ", ".join(part for part in parts if part)

    @api.model
    def _get_lines(self, companies):
        """Return the strategies of ``companies`` and the shared ones, by one query."""
        return self.sudo().search_fetch(
            [("company_id", "in", [*companies.ids, False])],
            ["value_type", "industry_id", "company_id", "text"],
        )

    def _match(self, value_type, industry, company):
        """Return those of ``self`` that count for a customer in ``company``. The one
        for both value type and industry stands alone. Else that of the value type comes
        first, then that of the industry. A strategy of the company goes before a shared
        one."""
        lines = self.filtered(
            lambda line: line.company_id in (company, company.browse())
        )
        lines = lines.sorted(lambda line: not line.company_id)

        def first(value_type, industry):
            return lines.filtered(
                lambda line: (
                    (line.value_type, line.industry_id) == (value_type, industry)
                )
            )[:1]

        nothing = lines.browse()
        by_type = first(value_type, industry.browse()) if value_type else nothing
        by_industry = first(False, industry) if industry else nothing
        both = first(value_type, industry) if value_type and industry else nothing
        return both or by_type | by_industry

    def _get_html(self):
        """Return the texts under each other, each with what it is about."""
        return Markup().join(
            Markup("<h5>%s</h5>%s") % (line.display_name, line.text)
            for line in self
            if not is_html_empty(line.text)
        )
