from odoo import api, fields, models
from odoo.tools import SQL, float_round

from ...models.account import words

INT, FLOAT, TEXT, BOOL = SQL("int"), SQL("float8"), SQL("varchar"), SQL("bool")
MOVE_COLUMNS = {
    "partner_id": INT,
    "user_id": INT,
    "company_id": INT,
    "from_tier_id": INT,
    "to_tier_id": INT,
    "from_name": TEXT,
    "to_name": TEXT,
    "direction": TEXT,
    "figure": FLOAT,
    "earlier_figure": FLOAT,
    "has_earlier_figure": BOOL,
    "boundary": FLOAT,
    "rank": INT,
}
TIER_COLUMNS = {
    "company_id": INT,
    "currency_id": INT,
    "sequence": INT,
    "name": TEXT,
    "count_before": INT,
    "count_after": INT,
    "share_before": FLOAT,
    "share_after": FLOAT,
    "revenue_before": FLOAT,
    "revenue_after": FLOAT,
    "revenue_share_before": FLOAT,
    "revenue_share_after": FLOAT,
}


class KeyAccountTierPreview(models.TransientModel):
    """What a run of a policy, or a line of the cadence, would change; nothing of it is
    kept longer than it is looked at."""

    _name = "key.account.tier.preview"
    _inherit = "key.account.form"
    _description = "Preview"

    policy_id = fields.Many2one("key.account.policy", ondelete="cascade")
    cadence_id = fields.Many2one("key.account.cadence", ondelete="cascade")
    is_cadence = fields.Boolean(readonly=True)
    is_draft = fields.Boolean(
        readonly=True, help="Technical: what was tried isn't saved."
    )
    is_proposing = fields.Boolean(readonly=True)
    replaced = fields.Char(readonly=True, help="The policy in force.")
    line_ids = fields.One2many("key.account.tier.preview.line", "preview_id")
    tier_ids = fields.One2many("key.account.tier.preview.tier", "preview_id")
    load_ids = fields.One2many("key.account.tier.preview.load", "preview_id")
    line_count = fields.Integer(string="Accounts That Move", readonly=True)
    moves_text = fields.Char(string="Who Moves", compute="_compute_moves_text")
    over_count = fields.Integer(string="Overcommitted", readonly=True)

    @api.model
    def _show(self, found, **values):
        """Keep what was found, and return the action that shows it. A fixed number of
        statements, whatever the number of accounts.

        :param list found: for each company what :meth:`WhatIf.run` returns
        :param values: of the preview
        """
        # sudo: of whom the run would move; create_uid is still the user
        previews = self.sudo()
        # one at a time: they hold names and figures
        self.env.cr.execute(
            SQL(
                "DELETE FROM key_account_tier_preview WHERE create_uid = %s",
                self.env.uid,
            )
        )
        preview = previews.create(values)
        preview.flush_recordset()
        for each in found:
            if each.get("moves"):
                preview._insert("line", MOVE_COLUMNS, each["moves"])
            if each.get("tiers"):
                preview._insert("tier", TIER_COLUMNS, each["tiers"])
        preview._create_loads([each["loads"] for each in found if each["loads"]])
        preview._count()
        return preview.with_env(self.env)._get_action()

    def _insert(self, kind, columns, text):
        """Insert lines from JSON. Tiers that exist on the form alone, and other records
        that are gone with the trial, are left out of it: their names stay."""
        table = SQL.identifier(f"key_account_tier_preview_{kind}")
        names = [
            SQL("(SELECT id FROM key_account_tier WHERE id = line.%s)", column)
            if name.endswith("_tier_id")
            else SQL("line.%s", column)
            for name in columns
            for column in [SQL.identifier(name)]
        ]
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO %s (preview_id, create_uid, write_uid, create_date,
                                write_date, %s)
                SELECT %s, %s, %s, now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC',
                       %s
                  FROM json_to_recordset(%s::json) AS line (%s)
                """,
                table,
                SQL(", ").join(map(SQL.identifier, columns)),
                self.id,
                self.env.uid,
                self.env.uid,
                SQL(", ").join(names),
                text,
                SQL(", ").join(
                    SQL("%s %s", SQL.identifier(name), kind_)
                    for name, kind_ in columns.items()
                ),
            )
        )
        self.env[f"key.account.tier.preview.{kind}"].invalidate_model(flush=False)

    def _create_loads(self, loads):
        """Create the lines of salespeople, and of their teams, from pairs of lists of
        what is asked of them before and after."""
        self.env["key.account.tier.preview.load"].create(
            [
                values
                for before, after in loads
                for values in self._prepare_loads(before, after)
            ]
        )

    def _prepare_loads(self, before, after):
        by_team = {}
        for old, new in zip(before, after, strict=True):
            by_team.setdefault(new.team, []).append((old, new))
        for team, people in sorted(
            by_team.items(), key=lambda item: (not item[0], item[0].name or "")
        ):
            people.sort(key=lambda pair: (not pair[1].user, pair[1].user.name or ""))
            for chosen in (people, *([pair] for pair in people)):
                is_team = chosen is people
                if is_team and not team:
                    continue
                user = not is_team and chosen[0][1].user
                # as it is shown, here and in the portfolio
                visits = float_round(
                    sum(new.visits for _, new in chosen), precision_digits=2
                )
                capacity = float_round(
                    sum(new.capacity for _, new in chosen), precision_digits=2
                )
                # nobody's time is no limit: somebody has to be found first
                is_over = bool(is_team or user) and visits > capacity
                yield {
                    "preview_id": self.id,
                    "is_team": is_team,
                    "team_id": team.id,
                    "user_id": user and user.id,
                    "visits_before": sum(old.visits for old, _ in chosen),
                    "visits_after": visits,
                    "capacity": capacity,
                    "is_over": is_over,
                    "stretch": visits / capacity if is_over and capacity else 0,
                }

    def _count(self):
        lines = self.env["key.account.tier.preview.line"]
        self.write(
            {
                "line_count": lines.search_count([("preview_id", "=", self.id)]),
                "over_count": len(
                    self.load_ids.filtered(lambda load: load.is_over and load.user_id)
                ),
            }
        )

    @api.depends("line_ids.direction")
    def _compute_moves_text(self):
        """How many move in which direction; what nobody does isn't told."""
        lines = self.env["key.account.tier.preview.line"]
        labels = lines._fields["direction"]._description_selection(self.env)
        for preview in self:
            counts = dict(
                lines._read_group(
                    [("preview_id", "=", preview.id)], ["direction"], ["__count"]
                )
            )
            preview.moves_text = words.join_clauses(
                self.env,
                [
                    words.join_named(self.env, label, counts[key])
                    for key, label in labels
                    if key in counts
                ],
            )

    def _get_action(self):
        context = {"dialog_size": "extra-large"}
        if self.env.context.get("key_account_start"):
            context["key_account_start"] = True
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("What Would Change"),
            "res_model": self._name,
            "res_id": self.id,
            "views": [[False, "form"]],
            "view_mode": "form",
            "target": "new",
            "context": context,
        }

    def action_view_moves(self):
        """Show who moves in a list that filters, groups and exports."""
        self.ensure_one()
        self.check_access("read")
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_key_account.key_account_tier_preview_line_action"
        )
        action["domain"] = [("preview_id", "=", self.id)]
        action["context"] = {
            "dialog_size": "extra-large",
            "key_account_preview_id": self.id,
        }
        return action

    def action_run(self):
        """Run the policy; what isn't saved yet the form saves first."""
        self.ensure_one()
        close = {"type": "ir.actions.act_window_close"}
        if self.is_draft:
            self.check_access("read")
            return {**close, "infos": {"key_account_run": True}}
        action = self.policy_id.action_run()
        if not self.env.context.get("key_account_start"):
            action["params"]["next"] = close
        return action


class KeyAccountTierPreviewLine(models.TransientModel):
    """An account that would have another tier."""

    _name = "key.account.tier.preview.line"
    _inherit = "key.account.form"
    _description = "Account That Would Move"
    _order = "company_id, rank, id"
    _rec_name = "partner_id"

    preview_id = fields.Many2one(
        "key.account.tier.preview", required=True, index=True, ondelete="cascade"
    )
    partner_id = fields.Many2one("res.partner", string="Customer", ondelete="cascade")
    user_id = fields.Many2one("res.users", string="Salesperson", ondelete="cascade")
    company_id = fields.Many2one("res.company", ondelete="cascade")
    currency_id = fields.Many2one(related="company_id.currency_id")
    from_tier_id = fields.Many2one(
        "key.account.tier", string="Tier Now", ondelete="cascade"
    )
    to_tier_id = fields.Many2one(
        "key.account.tier",
        string="Tier Then",
        ondelete="cascade",
        help="Empty: it exists on the form alone.",
    )
    from_name = fields.Char(string="From", readonly=True)
    to_name = fields.Char(string="To", readonly=True)
    direction = fields.Selection(
        [
            ("up", "Up"),
            ("down", "Down"),
            ("new", "First tier"),
            ("same", "Same place in another policy"),
            ("out", "No account any more"),
        ],
        readonly=True,
    )
    figure = fields.Float(
        digits=(16, 2),
        readonly=True,
        help="The figure that the policy would rank by, in company currency, or in "
        "points.",
    )
    earlier_figure = fields.Float(
        digits=(16, 2),
        readonly=True,
        help="The same figure as the run before had measured it.",
    )
    has_earlier_figure = fields.Boolean(
        readonly=True,
        help="Technical: the run before had measured it. One by another method hadn't.",
    )
    boundary = fields.Float(
        digits=(16, 2),
        readonly=True,
        aggregator=None,
        help="The edge of the new tier that the account crosses: its threshold, or the "
        "figure of the nearest account on the other side.",
    )
    rank = fields.Integer(readonly=True, aggregator=None)

    def action_back(self):
        """Go back from the list, where nothing needs to be selected, to the preview."""
        preview_id = self.env.context.get("key_account_preview_id")
        preview = self.env["key.account.tier.preview"].browse(preview_id).exists()
        preview.check_access("read")
        return preview._get_action() if preview else False


class KeyAccountTierPreviewTier(models.TransientModel):
    """What a tier holds before and after: a step of the pyramid."""

    _name = "key.account.tier.preview.tier"
    _inherit = "key.account.form"
    _description = "Tier of a Preview"
    _order = "company_id, sequence, id"

    preview_id = fields.Many2one(
        "key.account.tier.preview", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one("res.company", ondelete="cascade")
    currency_id = fields.Many2one("res.currency", ondelete="cascade")
    sequence = fields.Integer(readonly=True)
    name = fields.Char(string="Tier", readonly=True)
    count_before = fields.Integer(string="Accounts", readonly=True)
    count_after = fields.Integer(string="Accounts Then", readonly=True)
    share_before = fields.Float(
        string="Share (%)", digits=(16, 1), readonly=True, help="Of all accounts."
    )
    share_after = fields.Float(
        string="Share Then (%)", digits=(16, 1), readonly=True, help="Of all accounts."
    )
    revenue_before = fields.Monetary(
        string="Revenue", readonly=True, help="As the last run measured it."
    )
    revenue_after = fields.Monetary(
        string="Revenue Then", readonly=True, help="As this run would measure it."
    )
    revenue_share_before = fields.Float(
        string="Of Revenue (%)", digits=(16, 1), readonly=True
    )
    revenue_share_after = fields.Float(
        string="Of Revenue Then (%)", digits=(16, 1), readonly=True
    )


class KeyAccountTierPreviewLoad(models.TransientModel):
    """What is asked of a salesperson, or a team, before and after."""

    _name = "key.account.tier.preview.load"
    _inherit = "key.account.form"
    _description = "Visits a Week of a Preview"
    _order = "id"
    _rec_name = "user_id"

    preview_id = fields.Many2one(
        "key.account.tier.preview", required=True, index=True, ondelete="cascade"
    )
    is_team = fields.Boolean(readonly=True)
    team_id = fields.Many2one("crm.team", string="Sales Team", ondelete="cascade")
    user_id = fields.Many2one("res.users", string="Salesperson", ondelete="cascade")
    name = fields.Char(string="Who", compute="_compute_name")
    visits_before = fields.Float(
        string="Visits a Week",
        digits=(16, 2),
        readonly=True,
        help="What the cadence asks for now; a call is a quarter of a visit.",
    )
    visits_after = fields.Float(
        string="Visits a Week Then", digits=(16, 2), readonly=True
    )
    capacity = fields.Float(
        digits=(16, 2),
        readonly=True,
        help="Visits a week that there is time for: the average of the next quarter, "
        "without leaves, holidays and meetings.",
    )
    is_over = fields.Boolean(string="Overcommitted", readonly=True)
    stretch = fields.Float(
        digits=(16, 2),
        readonly=True,
        help="How many times longer than asked for the intervals become, since the "
        "planner stretches them all alike where there is too little time. Empty: there "
        "is time enough, or none at all.",
    )

    @api.depends("team_id", "user_id", "is_team")
    @api.depends_context("lang")
    def _compute_name(self):
        for load in self:
            who = load.team_id if load.is_team else load.user_id
            load.name = who.display_name or self.env._("Nobody")
