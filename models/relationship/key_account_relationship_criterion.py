from odoo import api, fields, models, tools
from odoo.exceptions import UserError, ValidationError

from ...const import LEVEL_NUMBERS, RELATIONSHIP_LEVELS
from ..account import bounds, clock, words
from ..account.trial import CACHE_KEY, forget_configuration
from .evaluation import get_status_sql
from .measures import (
    MEASURES,
    get_all_parameters,
    get_measure,
    get_measures,
    get_present_sql,
)


class KeyAccountRelationshipCriterion(models.Model):
    """What must be true of an account for a level of the relationship ladder.

    Automatic criteria are read off the data, each with one measure of a registry
    (:mod:`.measures`), all of them for all accounts in one query (:mod:`.evaluation`).
    Judged ones hold while somebody's word (``key.account.relationship.evidence``) is
    young enough.
    """

    _name = "key.account.relationship.criterion"
    _inherit = "key.account.form"
    _description = "Relationship Criterion"
    _order = "level_number, sequence, id"

    name = bounds.Char(required=True, translate=True)
    sequence = bounds.Integer(default=10, bounds=bounds.SEQUENCES)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company",
        index=True,
        # else they would hold for every company then
        ondelete="cascade",
        help="Leave empty to ask for it in every company. A company's criteria hold "
        "for its branches too.",
    )
    level = fields.Selection(
        # Transactional is where everybody starts: it needs no evidence.
        RELATIONSHIP_LEVELS[1:],
        required=True,
        help="A level holds when all its own criteria and those of the levels below "
        "hold.",
    )
    level_number = fields.Integer(
        compute="_compute_level_number", store=True, is_internal=True
    )
    kind = fields.Selection(
        [("automatic", "Automatic"), ("judged", "Judged")],
        required=True,
        default="judged",
        help="Automatic: read off visits, contacts, orders and opportunities.\n"
        "Judged: somebody says yes, with a note and a date.",
    )
    measure = fields.Selection(
        [(measure.key, measure.label) for measure in MEASURES.values()],
        help="\n".join(measure.help for measure in MEASURES.values()),
    )
    parameter_names = fields.Char(
        compute="_compute_parameter_names",
        help="Technical: the fields that say what exactly the criterion asks for.",
    )
    months = bounds.Integer(
        bounds=(0, 1200),
        help="Automatic: how far to look back. Judged: after so many months the "
        "evidence lapses unless somebody renews it.",
        default=12,
    )
    quarters = bounds.Integer(
        default=4, bounds=(0, 400), help="Number of quarters, back from today."
    )
    minimum_count = bounds.Integer(string="At Least", default=1, bounds=(0, 10000))
    minimum_share = bounds.Float(
        string="At Least (%)", digits=(5, 2), default=50, bounds=(0, 100)
    )
    role_ids = fields.Many2many(
        "key.account.buying.role",
        "key_account_criterion_role_rel",
        "criterion_id",
        "role_id",
        string="Among the Roles",
        help="Leave empty to count contacts in any role, or in none.",
    )

    parameter_text = fields.Char(
        string="Asks For",
        compute="_compute_parameter_text",
        help="The parameters in words.",
    )

    @api.depends(lambda self: ("kind", "measure", *get_all_parameters()))
    @api.depends_context("lang")
    def _compute_parameter_text(self):
        for criterion in self:
            if criterion.kind == "judged":
                months = criterion.months
                criterion.parameter_text = (
                    self.env._("evidence of 1 month")
                    if months == 1
                    else self.env._("evidence of %s months", months)
                )
            else:
                measure = criterion._get_measure()
                criterion.parameter_text = measure.explain() if measure else ""

    @api.depends("kind", "measure")
    def _compute_parameter_names(self):
        for criterion in self:
            criterion.parameter_names = " ".join(criterion._get_parameter_names())

    @api.depends("level")
    def _compute_level_number(self):
        for criterion in self:
            criterion.level_number = LEVEL_NUMBERS.get(criterion.level, 0)

    # -------------------------------------------------------------------------
    # Constraints
    # -------------------------------------------------------------------------

    @api.constrains(lambda self: ("kind", "measure", *get_all_parameters()))
    def _check_parameters(self):
        for criterion in self:
            if criterion.kind == "automatic" and not criterion.measure:
                raise ValidationError(
                    self.env._(
                        "The criterion %s is automatic: choose what it measures.",
                        criterion.name,
                    )
                )
            for name in criterion._get_parameter_names():
                if self._fields[name].type in ("integer", "float"):
                    criterion._check_parameter(name)

    def _check_parameter(self, name):
        """Refuse a number that says nothing."""
        value = self[name]
        field = self._fields[name]._description_string(self.env)
        if value <= 0:
            raise ValidationError(
                self.env._(
                    "The criterion %(criterion)s needs a number above 0 in "
                    "“%(field)s”.",
                    criterion=self.name,
                    field=field,
                )
            )

    def _get_parameter_names(self):
        """Return the fields that say what exactly the criterion asks for."""
        if self.kind == "judged":
            return ("months",)
        measure = self._get_measure()
        return measure.parameters if measure else ()

    @api.constrains(
        lambda self: (
            "kind",
            "measure",
            "name",
            "level",
            "company_id",
            "active",
            *get_all_parameters(),
        )
    )
    def _check_duplicate(self):
        """A level includes those below it: to ask for the same on two of them, or
        twice on one, says nothing that one line doesn't say."""
        for criterion in self.filtered("active"):
            if criterion.kind == "automatic" and not criterion.measure:
                continue  # refused above
            for other in self.sudo().search(
                [
                    ("id", "!=", criterion.id),
                    ("kind", "=", criterion.kind),
                    (
                        "measure",
                        "=",
                        criterion.kind == "automatic" and criterion.measure,
                    ),
                ]
            ):
                is_same = criterion._get_parameters() == other._get_parameters()
                if is_same and not criterion._is_apart(other):
                    raise ValidationError(
                        self.env._(
                            "%(name)s asks for the same as “%(other)s” on the level "
                            "%(level)s: a level includes the criteria below it, so "
                            "keep one of the two.",
                            name=criterion.name,
                            other=other.name,
                            level=other._get_level_name(),
                        )
                    )

    def _is_apart(self, other):
        """Return whether no account is asked for both: they are of two companies, and
        neither is a branch of the other one."""
        own, others = self.sudo().company_id, other.sudo().company_id
        return bool(
            own
            and others
            and own not in others.parent_ids
            and others not in own.parent_ids
        )

    def _get_parameters(self):
        """Return what the criterion asks for, to compare it with others."""
        self.ensure_one()
        if self.kind == "judged":
            return self.name.strip().casefold()
        return [
            sorted(self[name].ids) if self._fields[name].relational else self[name]
            for name in self._get_parameter_names()
        ]

    # -------------------------------------------------------------------------
    # CRUD
    # -------------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        criteria = super().create([self._clean_vals(vals) for vals in vals_list])
        if criteria:
            forget_configuration(self.env)
        return criteria

    def write(self, vals):
        res = super().write(self._clean_vals(vals))
        if self:
            forget_configuration(self.env)
        return res

    def unlink(self):
        res = super().unlink()
        if self:
            forget_configuration(self.env)
        return res

    @api.model
    def _clean_vals(self, vals):
        # a judged criterion measures nothing
        return {**vals, "measure": False} if vals.get("kind") == "judged" else vals

    def _update_field_translations(self, *args, **kwargs):
        forget_configuration(self.env)
        return super()._update_field_translations(*args, **kwargs)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_with_evidence(self):
        evidence = (
            self.env["key.account.relationship.evidence"]
            .sudo()
            .search([("criterion_id", "in", self.ids)], limit=1)
        )
        if evidence:
            raise UserError(
                self.env._(
                    "There is evidence for “%s”: archive the criterion instead of "
                    "deleting it.",
                    evidence.criterion_id.name,
                )
            )

    # -------------------------------------------------------------------------
    # Words
    # -------------------------------------------------------------------------

    def _get_level_name(self):
        levels = dict(self._fields["level"]._description_selection(self.env))
        return levels[self.level]

    # Cached: opening a customer must not cost a query for them.
    @api.model
    @tools.ormcache("self.env.lang", CACHE_KEY)
    def _get_names(self):
        """Return {criterion id: name} in the language of the environment."""
        criteria = self.sudo().with_context(active_test=False)
        return {
            criterion.id: criterion.name
            for criterion in criteria.search_fetch([], ["name"])
        }

    @api.model
    def _get_gap_text(self, gap):
        """Return in words which criteria don't hold.

        :param gap: list of dicts ``{"id", "state", "date"}`` as kept on accounts and
            changes: missing ones, and lapsed ones with the day from which they don't
            hold any more
        """
        names = self._get_names()
        missing = []
        lapsed = []
        for item in gap or []:
            name = names.get(item["id"])
            if not name:
                continue
            if item["state"] == "missing":
                missing.append(name)
            else:
                day = clock.format_day(self.env, fields.Date.to_date(item["date"]))
                lapsed.append(f"{name} ({day})")
        parts = []
        if lapsed:
            parts.append(self.env._("Lapsed: %s", words.join_clauses(self.env, lapsed)))
        if missing:
            parts.append(
                self.env._("Missing: %s", words.join_clauses(self.env, missing))
            )
        return words.join_sentences(self.env, parts)

    # -------------------------------------------------------------------------
    # Measuring
    # -------------------------------------------------------------------------

    @api.model
    def _get_criteria(self, companies):
        """Return the criteria that are asked for in one of ``companies``: those of all,
        its own, and those of the companies that it is a branch of."""
        asking = tuple(sorted(companies.sudo().parent_ids.ids))
        return self.sudo().browse(self._get_criteria_ids(asking))

    @api.model
    @tools.ormcache("asking", CACHE_KEY)
    def _get_criteria_ids(self, asking):
        """Return the ids of the criteria of all, and of the companies ``asking``."""
        criteria = self.sudo().with_context(active_test=True)
        return criteria.search(
            ["|", ("company_id", "in", asking), ("company_id", "=", False)]
        )._ids

    def _get_measure(self):
        """See :func:`.measures.get_measure`."""
        self.ensure_one()
        return get_measure(self)

    def _get_measures(self):
        """See :func:`.measures.get_measures`."""
        return get_measures(self)

    @api.model
    def _get_status_sql(self, days, partner_ids=None):
        """See :func:`.evaluation.get_status_sql`."""
        return get_status_sql(self.env, days, partner_ids)

    @api.model
    def _get_present_sql(self):
        """See :func:`.measures.get_present_sql`."""
        return get_present_sql(self.env)
