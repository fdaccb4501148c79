from collections import defaultdict
from datetime import timedelta

import psycopg2.errors
from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError, ConcurrencyError, UserError
from odoo.tools import SQL, formatLang, mute_logger

from ...const import SENIORITIES, SENIORITY_NUMBERS
from ...engine import assignment
from ...engine.planner import VISIT_LOAD
from ...models.account import clock, words
from ...models.account.key_account_shown import open_partner
from ...models.account.outsiders import get_outsiders_sql
from ...models.planning.key_account_agenda import MODE_LOADS
from ...models.planning.key_account_cadence import TRACK_MODES

# Capacity is the average of so many weeks: a short leave makes nobody unfit.
CAPACITY_WEEKS = 12
# Over how many full months attainment is reckoned.
ATTAINMENT_MONTHS = 3


class KeyAccountAssignment(models.TransientModel):
    """An account that nobody serves, or somebody who shouldn't, with a suggestion.

    The lines of a user are made anew each time that the list is opened.
    """

    _name = "key.account.assignment"
    _inherit = "key.account.form"
    _description = "Account to Assign"
    _order = "sequence, id"
    _rec_name = "partner_id"

    sequence = fields.Integer(is_internal=True, readonly=True)
    company_id = fields.Many2one("res.company", required=True, readonly=True)
    partner_id = fields.Many2one(
        "res.partner",
        string="Customer",
        required=True,
        readonly=True,
        ondelete="cascade",
    )
    tier_id = fields.Many2one("key.account.tier", readonly=True, ondelete="cascade")
    tier_color = fields.Integer(is_internal=True, related="tier_id.color")
    user_id = fields.Many2one("res.users", string="Salesperson Now", readonly=True)
    problem = fields.Selection(
        [
            ("nobody", "No salesperson"),
            ("left", "Salesperson left"),
            ("company", "Not in the company"),
            ("team", "In no sales team"),
            ("seniority", "Too little seniority"),
        ],
        required=True,
        readonly=True,
    )
    reason = fields.Char(
        readonly=True, help="Why the account needs another salesperson."
    )
    suggested_user_id = fields.Many2one(
        "res.users",
        string="Assign To",
        domain="[('share', '=', False), ('company_ids', '=', company_id)]",
        help="The suggestion. Choose somebody else if you know better.",
    )
    standing = fields.Char(
        string="Seniority, Attainment",
        readonly=True,
        help="Of whom it is assigned to: the attainment of the last three full months, "
        "see Visit Figures; none without targets.",
    )
    why = fields.Char(readonly=True, help="Why this salesperson is suggested.")

    _user_partner_uniq = models.UniqueIndex("(create_uid, company_id, partner_id)")

    def write(self, vals):
        if not self.env.su:
            if vals.keys() - {"suggested_user_id"}:
                raise AccessError(
                    self.env._("Only the salesperson to assign can be changed here.")
                )
            # they told of somebody else
            vals = {**vals, "why": False, "standing": False}
        res = super().write(vals)
        if vals.get("suggested_user_id"):
            for company, lines in self.grouped("company_id").items():
                members = self.env["crm.team.member"]._get_seniorities(company)
                standings = lines._get_standings(
                    company, members, vals["suggested_user_id"]
                )
                # sudo: planning alone writes it
                lines.sudo().standing = standings[vals["suggested_user_id"]]
        return res

    # -------------------------------------------------------------------------
    # Actions
    # -------------------------------------------------------------------------

    @api.model
    def action_open(self):
        """List the accounts of the current company that need another salesperson."""
        self.browse().check_access("write")
        # sudo: clients don't make lines; create_uid is still the user
        lines = self.sudo()
        lines.search([("create_uid", "=", self.env.uid)]).unlink()
        try:
            with mute_logger("odoo.sql_db"), self.env.cr.savepoint():
                home = self.env.company._get_key_account_home()
                lines.create(lines._prepare_lines(home))
        except psycopg2.errors.UniqueViolation as error:
            # The list is opened twice at this moment: once more, with that one gone.
            raise ConcurrencyError(str(error)) from error
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_key_account.key_account_assignment_action"
        )
        # The client goes by the menu's own action, so that a reload looks again.
        del action["id"]
        return action

    def action_open_partner(self):
        return open_partner(self)

    def action_apply(self):
        """Give the customers to the salespeople named; planned visits follow.

        :raise UserError: if nobody is named, or somebody who doesn't work in the
            company, or if a customer was given to somebody in the meantime; nothing is
            changed then
        """
        self.check_access("write")
        for line in self:
            line._check_assignment()
        for user, lines in self.grouped("suggested_user_id").items():
            lines.partner_id.write({"user_id": user.id})
        # sudo: a line has served when it is applied
        self.sudo().unlink()
        return {"type": "ir.actions.client", "tag": "soft_reload"}

    def action_apply_all(self):
        """Apply all lines of the user that name a salesperson, selected or not."""
        lines = self.search(
            [("create_uid", "=", self.env.uid), ("suggested_user_id", "!=", False)]
        )
        if not lines:
            raise UserError(
                self.env._("No account has a salesperson to assign: choose one first.")
            )
        return lines.action_apply()

    def _check_assignment(self):
        user = self.suggested_user_id.sudo()
        if not user:
            raise UserError(
                self.env._("Choose whom to assign %s to.", self.partner_id.display_name)
            )
        if not user.active or user.share or self.company_id not in user.company_ids:
            raise UserError(
                self.env._(
                    "%(user)s doesn't work for %(company)s: choose another "
                    "salesperson.",
                    user=user.name,
                    company=self.company_id.name,
                )
            )
        self.env["key.account.week.board"]._check_works_in_sales(user)
        if self.partner_id.user_id != self.user_id:
            raise UserError(
                self.env._(
                    "%s was given to somebody in the meantime: open the list again.",
                    self.partner_id.display_name,
                )
            )

    # -------------------------------------------------------------------------
    # Who serves whom, and who should
    # -------------------------------------------------------------------------

    @api.model
    def _prepare_lines(self, company):
        """Return the values of the lines of ``company``; a fixed number of queries."""
        rows = self._get_accounts(company)
        members = self.env["crm.team.member"]._get_seniorities(company)
        problems = {}
        for row in rows:
            if problem := self._get_problem(row, members):
                problems[row["id"]] = problem
        wanting = [row for row in rows if row["id"] in problems]
        if not wanting:
            return []
        suggestions = self._get_suggestions(company, rows, wanting, members)
        standings = self._get_standings(company, members)
        return [
            {
                "sequence": number,
                "company_id": company.id,
                "partner_id": row["id"],
                "tier_id": row["tier_id"],
                "user_id": row["user_id"],
                "problem": problems[row["id"]],
                "reason": self._get_reason(row, problems[row["id"]], company, members),
                "suggested_user_id": suggestions[row["id"]].rep_id,
                "standing": standings.get(suggestions[row["id"]].rep_id),
                "why": self._get_why(row, suggestions[row["id"]]),
            }
            for number, row in enumerate(wanting)
        ]

    @api.model
    def _get_accounts(self, company):
        """Return a list of dicts about the accounts of ``company`` that aren't lost,
        the best first."""
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                SELECT partner.id, card.tier_id, tier.min_seniority,
                       partner.user_id, owner.active, owner.share,
                       EXISTS (SELECT FROM res_company_users_rel rel
                                WHERE rel.user_id = owner.id
                                  AND rel.cid = card.company_id) AS is_here,
                       partner.country_id, partner.state_id, partner.city, partner.zip
                  FROM key_account card
                  JOIN res_partner partner
                    ON partner.id = card.partner_id
                   AND partner.commercial_partner_id = partner.id
                   AND partner.active
                   AND (partner.company_id IS NULL
                        OR %s = card.company_id)
                  LEFT JOIN key_account_tier tier ON tier.id = card.tier_id
                  LEFT JOIN res_users owner ON owner.id = partner.user_id
                 WHERE card.company_id = %s
                   AND (card.is_account OR card.tier_id IS NOT NULL)
                   AND card.is_lost IS NOT TRUE
                   AND card.partner_id NOT IN (%s)
                 ORDER BY tier.sequence NULLS LAST, card.rank NULLS LAST, partner.id
                """,
                self.env["res.company"]._get_key_account_home_sql(
                    SQL("partner.company_id")
                ),
                company.id,
                get_outsiders_sql(self.env, company),
            )
        )
        return self.env.cr.dictfetchall()

    @api.model
    def _get_problem(self, row, members):
        """Return why whoever serves the account isn't the right one, or None."""
        if not row["user_id"]:
            return "nobody"
        if not row["active"] or row["share"]:
            return "left"
        if not row["is_here"]:
            return "company"
        # who keeps no teams isn't told to
        if members and row["user_id"] not in members:
            return "team"
        seniority = members.get(row["user_id"], "regular")
        least = SENIORITY_NUMBERS.get(row["min_seniority"], 0)
        return "seniority" if SENIORITY_NUMBERS[seniority] < least else None

    @api.model
    def _get_suggestions(self, company, rows, wanting, members):
        """Return ``{account id: Suggestion}``."""
        demand_by_user, demand_by_account = self._get_demands(company)
        reps = [
            assignment.Rep(
                user.id,
                SENIORITY_NUMBERS[members[user.id]],
                capacity,
                demand_by_user[user.id],
            )
            for user, capacity in self._get_capacities(company, members).items()
        ]
        visits, documents = self._get_contacts(company, [row["id"] for row in wanting])
        return assignment.suggest(
            [
                assignment.Account(
                    row["id"],
                    SENIORITY_NUMBERS.get(row["min_seniority"], 0),
                    row["min_seniority"] == SENIORITIES[0][0],
                    demand_by_account[row["id"]],
                    self._get_place(row),
                    row["user_id"],
                    visits[row["id"]],
                    documents[row["id"]],
                )
                for row in wanting
            ],
            reps,
            assignment.count_areas(
                (row["user_id"], self._get_place(row)) for row in rows if row["user_id"]
            ),
        )

    @api.model
    def _get_place(self, row):
        return assignment.Place(
            row["country_id"], row["state_id"], row["city"], row["zip"]
        )

    @api.model
    def _get_demands(self, company):
        """Return the visits per week that the cadence asks for, by salesperson and by
        account; four calls are a visit."""
        by_user, by_account = defaultdict(float), defaultdict(float)
        rows = (
            self.env["key.account.due"]
            .sudo()
            # one visit to win a lost account back isn't a demand
            .search_fetch(
                [("company_id", "=", company.id), ("loss_id", "=", False)],
                ["account_user_id", "days", "partner_id", "track", "user_id"],
            )
        )
        for row in rows:
            load = MODE_LOADS[TRACK_MODES[row.track]] / VISIT_LOAD
            weekly = 7 / row.days * load
            if row.track == "executive":
                by_user[row.user_id.id] += weekly
            else:
                by_user[row.account_user_id.id] += weekly
                by_account[row.partner_id.id] += weekly
        return by_user, by_account

    @api.model
    def _get_capacities(self, company, members):
        """Return ``{user: visits per week}`` of the salespeople who can be suggested:
        members of a sales team who work for ``company``."""
        users = (
            self.env["crm.team.member"]
            .sudo()
            .search(
                [
                    ("user_id", "in", list(members)),
                    (
                        "crm_team_id.company_id",
                        "in",
                        company._get_key_account_team_ids(),
                    ),
                ]
            )
            .user_id.filtered(
                lambda user: (
                    user.active and not user.share and company in user.company_ids
                )
            )
        )
        today = clock.get_today(company)
        days = self.env["key.account.agenda"]._get_working_days(
            users,
            company,
            today,
            today + timedelta(weeks=CAPACITY_WEEKS, days=-1),
        )
        daily = self.env["crm.team.member"]._get_daily_capacities(users, company)
        return {
            user: daily[user.id] * len(days[user.id]) / CAPACITY_WEEKS
            for user in users.sorted("id")
        }

    @api.model
    def _get_contacts(self, company, partner_ids):
        """Return the done visits, and the leads and orders, as ``{account id: {user id:
        number}}`` each."""
        visits, documents = defaultdict(dict), defaultdict(dict)
        for kind, partner_id, user_id, number in self.env.execute_query(
            SQL(
                """
                SELECT 'visit', partner_id, user_id, COUNT(*)
                  FROM key_account_visit
                 WHERE company_id = %(company)s
                   AND state = 'done'
                   AND user_id IS NOT NULL
                   AND partner_id = ANY(%(partner_ids)s)
                 GROUP BY 2, 3
                 UNION ALL
                SELECT 'document', partner.commercial_partner_id, document.user_id,
                       COUNT(*)
                  FROM (
                        SELECT partner_id, user_id
                          FROM crm_lead
                         WHERE COALESCE(company_id, %(company)s) = ANY(%(books)s)
                         UNION ALL
                        SELECT partner_id, user_id
                          FROM sale_order
                         WHERE company_id = ANY(%(books)s) AND state != 'cancel'
                       ) AS document
                  JOIN res_partner partner ON partner.id = document.partner_id
                 WHERE document.user_id IS NOT NULL
                   AND partner.commercial_partner_id = ANY(%(partner_ids)s)
                 GROUP BY 2, 3
                """,
                company=company.id,
                # what they did for a branch, they did for the account
                books=company._get_key_account_branches().ids,
                partner_ids=partner_ids,
            )
        ):
            counts = visits if kind == "visit" else documents
            counts[partner_id][user_id] = number
        return visits, documents

    # -------------------------------------------------------------------------
    # In words
    # -------------------------------------------------------------------------

    @api.model
    def _get_standings(self, company, members, user_id=None):
        """Return ``{user id: seniority and attainment}`` in words; one query.

        :param members: seniorities, see
            :meth:`crm.team.member._get_seniorities`
        :param user_id: of this user alone; None: of all members
        """
        user_ids = list(members) if user_id is None else [user_id]
        this_month = clock.get_today(company).replace(day=1)
        months = [
            this_month - relativedelta(months=number + 1)
            for number in range(ATTAINMENT_MONTHS)
        ]
        # sudo: whoever assigns may know how much they make of what is planned
        rows = (
            self.env["key.account.visit.figures"]
            .sudo()
            ._read_group(
                [
                    ("company_id", "=", company.id),
                    ("user_id", "in", user_ids),
                    ("month", "in", months),
                ],
                ["user_id"],
                ["credited_count:sum", "planned_count:sum"],
            )
        )
        shares = {
            user.id: 100 * credited / planned
            for user, credited, planned in rows
            if planned
        }
        return {
            user_id: words.join_facts(
                self.env,
                (
                    user_id in members and self._get_seniority_name(members[user_id]),
                    user_id in shares and f"{shares[user_id]:.0f} %",
                ),
            )
            for user_id in user_ids
        }

    def _get_seniority_name(self, seniority):
        field = self.env["crm.team.member"]._fields["seniority"]
        return dict(field._description_selection(self.env))[seniority]

    @api.model
    def _get_reason(self, row, problem, company, members):
        if problem == "nobody":
            return self.env._("No salesperson")
        if problem == "left":
            return self.env._("Has left")
        if problem == "company":
            return self.env._("Doesn't work for %s", company.name)
        if problem == "team":
            return self.env._("In no sales team")
        return self.env._(
            "%(seniority)s, needs %(least)s",
            seniority=self._get_seniority_name(members.get(row["user_id"], "regular")),
            least=self._get_seniority_name(row["min_seniority"]),
        )

    @api.model
    def _get_why(self, row, suggestion):
        if not suggestion.rep_id:
            if not row["min_seniority"]:
                return self.env._("Nobody is in a sales team")
            return self.env._(
                "Nobody has the seniority that the tier asks for: %s",
                self._get_seniority_name(row["min_seniority"]),
            )
        texts = [self._get_area_text(row, suggestion)]
        if suggestion.visits:
            texts.append(self.env._("visits there: %s", suggestion.visits))
        if suggestion.documents:
            texts.append(self.env._("leads and orders: %s", suggestion.documents))
        if suggestion.is_trainee:
            texts.append(self.env._("trains at such accounts"))
        free = round(suggestion.free, 1)
        free_text = formatLang(self.env, free, digits=1)
        if suggestion.is_full:
            texts.append(
                self.env._("everybody is over capacity")
                if free < 0
                else self.env._("free visits a week: only %s", free_text)
            )
        else:
            texts.append(self.env._("free visits a week: %s", free_text))
        text = words.join_clauses(self.env, texts)
        return text[:1].upper() + text[1:]

    def _get_area_text(self, row, suggestion):
        number = suggestion.neighbours
        if suggestion.area == "postal_code":
            prefix = "".join(row["zip"].split())[: assignment.POSTAL_PREFIX].upper()
            return self.env._(
                "accounts in postal area %(area)s: %(number)s",
                area=prefix,
                number=number,
            )
        if suggestion.area == "city":
            return self.env._(
                "accounts in %(city)s: %(number)s",
                city=row["city"].strip(),
                number=number,
            )
        if suggestion.area == "state":
            return self.env._("accounts in the same state: %s", number)
        if suggestion.area == "country":
            return self.env._("accounts in the same country: %s", number)
        return ""
