from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain

from ...const import ENGAGEMENT_STAGES, LOWEST_LEVEL, RELATIONSHIP_LEVELS
from ...engine import cadence as engine
from ..account import bounds, features, words
from ..account.pause import is_paused, paused
from ..account.trial import trial

TRACKS = [
    ("visit", "Visit"),
    ("contact", "Call or mail"),
    ("executive", "Executive visit"),
]
REFRESH_DUES = "refresh_dues"
# What moves no due date of a line
SILENT_FIELDS = {"activity_type_id", "escalate_after_days", "follow_up_days"}
# So long an executive visit is overdue before the leader is told
EXECUTIVE_DAYS = 14
TRACK_MODES = {"visit": "on_site", "contact": "phone", "executive": "on_site"}
# No trips, whatever their line says of routes
CALL_TRACKS = [track for track, mode in TRACK_MODES.items() if mode != "on_site"]


class KeyAccountCadence(models.Model):
    """How often a customer is to be seen. The first line that matches in its track
    wins, like a pricelist."""

    _name = "key.account.cadence"
    _inherit = "key.account.form"
    _switched_fields = {features.EVIDENCE: {"relationship_level"}}
    _description = "Visit Cadence"
    _order = "sequence, id"
    _rec_names_search = ["tier_id"]

    sequence = bounds.Integer(
        default=lambda self: self._default_sequence(), bounds=bounds.SEQUENCES
    )
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company",
        index=True,
        # else they would hold for every company then
        ondelete="cascade",
        help="Leave empty to use the line in every company.",
    )
    tier_id = fields.Many2one(
        "key.account.tier",
        index=True,
        ondelete="restrict",
        domain="[('policy_id.active', '=', True)]",
        help="Leave empty for customers of every tier.",
    )
    relationship_level = fields.Selection(
        RELATIONSHIP_LEVELS,
        help="Leave empty for customers on every level.",
    )
    engagement_stage = fields.Selection(
        ENGAGEMENT_STAGES,
        help="Leave empty for customers in every stage. A quotation is out, a contract "
        "is running, an opportunity or a lead is open, or none of these: a target.",
    )
    track = fields.Selection(
        TRACKS,
        required=True,
        default="visit",
        help="A customer has at most one planned visit on each track.",
    )
    interval_count = bounds.Integer(
        string="Every", required=True, default=1, bounds=(1, bounds.MAX_DAYS)
    )
    interval_unit = fields.Selection(
        [("day", "Days"), ("week", "Weeks"), ("month", "Months")],
        string="Unit",
        required=True,
        default="week",
    )
    activity_type_id = fields.Many2one(
        "mail.activity.type",
        ondelete="restrict",
        domain=[("res_model", "=", False)],
        help="Type of the planned activity. Leave empty for that of the track.",
    )

    on_route = fields.Boolean(
        string="Only on Route",
        help="No special trip: planned only for days on which the salesperson is near "
        "anyway.",
    )
    escalate_after_days = bounds.Integer(
        string="Escalate After (days)",
        bounds=(0, bounds.MAX_DAYS),
        help="The sales team's leader gets one activity when a visit is overdue for so "
        "many days. 0: never.",
    )
    follow_up_days = bounds.Integer(
        string="Follow Up After (days)",
        default=2,
        bounds=(0, 90),
        help="Working days after the visit, to thank and recap. 0: no follow-up.",
    )

    hidden_text = fields.Char(
        string="Never Applies",
        compute="_compute_hidden_text",
        help="A line above says already how often all of these customers are seen.",
    )

    @api.model
    def _default_sequence(self):
        """A new line comes last, where the list shows it: it overrides none."""
        last = self.sudo().with_context(active_test=False)
        last = last.search([], order="sequence desc", limit=1)
        return min(last.sequence + 10, bounds.SEQUENCES[1]) if last else 10

    @api.depends(
        "sequence",
        "active",
        "company_id",
        "tier_id",
        "relationship_level",
        "engagement_stage",
        "track",
    )
    @api.depends_context("lang")
    def _compute_hidden_text(self):
        lines = self.search(Domain.TRUE)
        for line in self:
            above = next(
                (
                    other
                    for other in lines
                    if other != line._origin
                    and (other.sequence, other.id)
                    < (line.sequence, line._origin.id or bounds.MAX_ID)
                    and other._covers(line)
                ),
                None,
            )
            line.hidden_text = bool(line.active and above) and self.env._(
                "Hidden by “%s” above", above.display_name
            )

    def _covers(self, line):
        """Return whether whoever ``line`` is for is this line's already."""
        return self.track == line.track and all(
            not self[name] or self[name] == line[name]
            for name in (
                "company_id",
                "tier_id",
                "relationship_level",
                "engagement_stage",
            )
        )

    @api.constrains("interval_count", "interval_unit")
    def _check_interval(self):
        for line in self:
            days = engine.interval_days(line.interval_count, line.interval_unit)
            if days > bounds.MAX_DAYS:
                raise ValidationError(
                    self.env._("The interval must be at most ten years: enter less.")
                )

    @api.depends(
        "tier_id",
        "relationship_level",
        "engagement_stage",
        "track",
        "interval_count",
        "interval_unit",
    )
    @api.depends_context("lang")
    def _compute_display_name(self):
        tracks = dict(self._fields["track"]._description_selection(self.env))
        levels = dict(
            self._fields["relationship_level"]._description_selection(self.env)
        )
        stages = dict(self._fields["engagement_stage"]._description_selection(self.env))
        for line in self:
            who = words.join_facts(
                self.env,
                (
                    line.tier_id.name or self.env._("All tiers"),
                    levels.get(line.relationship_level),
                    stages.get(line.engagement_stage),
                ),
            )
            what = words.join_facts(
                self.env, (tracks.get(line.track), line._get_interval_text())
            )
            line.display_name = words.join_named(self.env, who, what)

    @api.onchange("track")
    def _onchange_track(self):
        """Executives escalate, unless somebody says otherwise."""
        if self.track == "executive" and not self.escalate_after_days:
            self.escalate_after_days = EXECUTIVE_DAYS

    # -------------------------------------------------------------------------
    # CRUD
    # -------------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        if not vals_list:
            return super().create(vals_list)
        vals_list = [dict(vals) for vals in vals_list]
        defaults = self.default_get(["track", "escalate_after_days"])
        days = defaults.get("escalate_after_days") or EXECUTIVE_DAYS
        for vals in vals_list:
            if vals.get("track", defaults.get("track")) == "executive":
                # as on the form
                vals.setdefault("escalate_after_days", days)
        lines = super().create(vals_list)
        lines._refresh_dues(lines.company_id, not all(lines.mapped("company_id")))
        return lines

    def write(self, vals):
        if not self:
            return super().write(vals)
        companies, everywhere = self.company_id, not all(self.mapped("company_id"))
        order = self._get_order()
        res = super().write(vals)
        if vals.keys() - {"sequence", *SILENT_FIELDS} or order != self._get_order():
            self._refresh_dues(
                companies | self.company_id,
                everywhere or not all(self.mapped("company_id")),
            )
        return res

    def web_resequence(self, specification, *args, **kwargs):
        # Dragging a line writes one after the other: refreshed once, at the end
        order = self._get_order()
        # The list reads the handle alone: what the line hides now is shown at once
        specification = {**specification, "hidden_text": {}}
        with paused(self.env, REFRESH_DUES):
            res = super().web_resequence(specification, *args, **kwargs)
        if order != self._get_order():
            self._refresh_dues(self.company_id, not all(self.mapped("company_id")))
        return res

    def unlink(self):
        if not self:
            return super().unlink()
        # First, so that other lines take over what is known; then nothing is left that
        # would go along.
        self.filtered("active").write({"active": False})
        return super().unlink()

    @api.model
    def _get_order(self):
        return self.sudo().search(Domain.TRUE).ids

    @api.model
    def _refresh_dues(self, companies, everywhere):
        if is_paused(self.env, REFRESH_DUES):
            return
        if everywhere:
            companies = companies.sudo().search([("key_account_planning", "=", True)])
        self.env["key.account.due"].sudo()._refresh_companies(companies)

    # -------------------------------------------------------------------------
    # Actions
    # -------------------------------------------------------------------------

    def action_preview(self, values=None):
        """Show how many visits a week the cadence would ask of each salesperson, and
        change nothing.

        :param dict values: what stands on the form and isn't saved, as :meth:`write`
            takes it; of a line that was never saved, as :meth:`create` does
        """
        self.check_access("write" if self else "create")
        values = bounds.to_values(self, values)
        companies = self.env.companies.sudo().filtered(
            lambda company: (
                company.key_account_planning
                and company._get_key_account_home() == company
            )
        )
        if not companies:
            raise UserError(
                self.env._(
                    "No visits are planned in your company: switch planning on in the "
                    "settings, then preview the cadence."
                )
            )
        # sudo: counted of all accounts, and nothing of it is kept
        loads = self.env["key.account.load"].sudo()
        dues = self.env["key.account.due"].sudo()
        with trial(self.env):
            before = [
                loads._get_visits(company, dues._is_kept(company))
                for company in companies
            ]
            with paused(self.env, REFRESH_DUES):
                if self:
                    self.write(values)
                else:
                    self.create(values)
            found = [
                {
                    "loads": loads._get_loads(
                        company, old, loads._get_visits(company, False)
                    )
                }
                for company, old in zip(companies, before, strict=True)
            ]
        return self.env["key.account.tier.preview"]._show(
            found,
            cadence_id=self.id,
            is_cadence=True,
            is_draft=bool(values or not self),
        )

    # -------------------------------------------------------------------------
    # Business
    # -------------------------------------------------------------------------

    @api.model
    def _get_lines(self, company):
        """Return the lines in force in ``company``, in matching order: its own, those
        of the companies that it is a branch of, and shared ones."""
        companies = company.sudo().parent_ids
        return self.sudo().search([("company_id", "in", [*companies.ids, False])])

    def _match(self, tier_id, track, own_interval=0, level=None, stage=None):
        """Return the first line of ``self`` for a tier, a level of relationship and a
        stage of engagement on a track, or an empty one.

        A customer with an interval of its own, or one that is to be won back, needs no
        line for its tier: any line of the track says how the visit is made.
        """
        lines = self.filtered(lambda line: line.track == track)
        level = level or LOWEST_LEVEL
        stage = stage or "target"
        matching = lines.filtered(
            lambda line: (
                line.tier_id.id in (tier_id, False)
                and line.relationship_level in (level, False)
                and line.engagement_stage in (stage, False)
            )
        )
        return matching[:1] or (lines[:1] if own_interval else lines.browse())

    def _get_first(self, tier):
        """Return the first line of ``self`` that asks for visits or calls of a tier, on
        whatever level and stage; executives' visits go by the level."""
        return self.filtered(
            lambda line: (
                line.track != "executive" and line.tier_id.id in (tier.id, False)
            )
        )[:1]

    def _get_interval(self, days=0):
        """Return count and unit of the interval.

        :param int days: the customer's own interval, which goes before the line's
        """
        return (days, "day") if days else (self.interval_count, self.interval_unit)

    def _get_interval_text(self, days=0):
        """Return the interval in words, in the language of the environment.

        :param int days: the customer's own interval, which goes before the line's
        """
        count, unit = self._get_interval(days)
        texts = {
            ("day", True): self.env._("daily"),
            ("week", True): self.env._("weekly"),
            ("month", True): self.env._("monthly"),
            ("day", False): self.env._("every %s days", count),
            ("week", False): self.env._("every %s weeks", count),
            ("month", False): self.env._("every %s months", count),
        }
        return texts[unit, count == 1]

    def _get_activity_type(self, track):
        """Return the line's activity type, else that of the track, else a to-do for
        those who deleted it."""
        # not ref: it would ask the database whether the type exists
        find = self.env["ir.model.data"]._xmlid_to_res_id
        return self.activity_type_id or self.activity_type_id.browse(
            find(f"crm_key_account.mail_activity_type_{track}")
            or find("mail.mail_activity_data_todo", raise_if_not_found=True)
        )
