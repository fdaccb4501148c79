from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import SQL, clean_context, date_utils

from ...const import LOWEST_LEVEL, RELATIONSHIP_LEVELS
from ..account import bounds, clock, features, words
from ..account.key_account_mixin import get_readonly_names
from .actuals import get_actuals, get_bought_categories

# What was approved. Whoever may approve reopens the plan to change it.
APPROVED_FIELDS = {
    "aimed_level",
    "company_id",
    "date_from",
    "date_to",
    "is_group",
    "partner_id",
    "target_margin",
    "target_revenue",
}
REVIEW_FIELDS = {"partner_id", "review_date", "state", "user_id"}
AMOUNTS = (0.0, float(bounds.MAX_AMOUNT))


class KeyAccountPlan(models.Model):
    """What we want to reach with a customer, or its whole group, in a period: goals,
    targets, who does what. What is reached is read from the books when asked.

    Whoever may read the customer's account reads its plans, and so do the owner and the
    team. Actions are activities of the objectives; the reminder of the review is one of
    the plan.
    """

    _name = "key.account.plan"
    _inherit = ["key.account.form", "key.account.thread", "mail.activity.mixin"]
    _switched_fields = {features.EVIDENCE: {"aimed_level", "relationship_level"}}
    _description = "Account Plan"
    _order = "date_from desc, id desc"
    _rec_name = "partner_id"

    partner_id = fields.Many2one(
        "res.partner",
        string="Customer",
        required=True,
        index=True,
        ondelete="cascade",
        domain="['|', ('is_company', '=', True), ('parent_id', '=', False)]",
    )
    is_group = fields.Boolean(
        string="Whole Group",
        help="The plan is about all customers below this one, too: figures count the "
        "whole corporate group.",
    )
    company_id = fields.Many2one(
        "res.company",
        required=True,
        index=True,
        ondelete="cascade",
        default=lambda self: self.env.company._get_key_account_home(),
    )
    currency_id = fields.Many2one(is_internal=True, related="company_id.currency_id")
    # A copy, so that the record rules need no join.
    account_user_id = fields.Many2one(
        related="partner_id.user_id",
        string="Customer's Salesperson",
        store=True,
        index=True,
    )
    date_from = bounds.Date(
        string="From",
        required=True,
        default=lambda self: fields.Date.context_today(self).replace(month=1, day=1),
    )
    date_to = bounds.Date(
        string="Until",
        required=True,
        default=lambda self: fields.Date.context_today(self).replace(month=12, day=31),
    )
    elapsed = fields.Float(
        string="Time Passed (%)",
        compute="_compute_elapsed",
        help="How much of the period is over.",
    )
    user_id = fields.Many2one(
        "res.users",
        string="Owner",
        index="btree_not_null",
        ondelete="set null",
        default=lambda self: self.env.user,
        domain=[("share", "=", False)],
        tracking=True,
    )
    state = fields.Selection(
        [
            ("draft", "Draft"),
            ("submitted", "Submitted"),
            ("approved", "Approved"),
            ("closed", "Closed"),
        ],
        string="Status",
        required=True,
        readonly=True,
        default="draft",
        copy=False,
        tracking=True,
    )
    approver_id = fields.Many2one(
        "res.users", string="Approved By", readonly=True, copy=False
    )
    date_approved = fields.Date(string="Approved On", readonly=True, copy=False)
    can_approve = fields.Boolean(compute="_compute_can_approve")
    member_ids = fields.One2many(
        "key.account.plan.member", "plan_id", string="Our Team", copy=True
    )
    objective_ids = fields.One2many(
        "key.account.plan.objective", "plan_id", string="Objectives", copy=True
    )
    category_ids = fields.One2many(
        "key.account.plan.category", "plan_id", string="Where They Buy", copy=True
    )
    goals = bounds.Text(string="Their Goals")
    challenges = bounds.Text(string="Their Challenges")
    strengths = bounds.Text(string="Our Strengths", help="With this customer.")
    vulnerability = bounds.Char(
        string="Our Critical Vulnerability",
        help="The one thing that could cost us this customer.",
    )
    limits = bounds.Text(
        string="Our Limits in Negotiation",
        help="What we don't go below, and what we want in return for a concession.",
    )
    competitor_ids = fields.Many2many(
        "res.partner",
        "key_account_plan_competitor_rel",
        "plan_id",
        "partner_id",
        string="Competitors",
        domain=[("is_company", "=", True)],
    )
    relationship_level = fields.Selection(
        RELATIONSHIP_LEVELS,
        string="Relationship Now",
        compute="_compute_relationship_level",
    )
    aimed_level = fields.Selection(
        RELATIONSHIP_LEVELS, string="Relationship Aimed At", tracking=True
    )
    target_revenue = bounds.Float(
        string="Revenue Target", digits=(16, 2), bounds=AMOUNTS, tracking=True
    )
    target_margin = bounds.Float(
        string="Margin Target", digits=(16, 2), bounds=AMOUNTS, tracking=True
    )
    revenue = fields.Monetary(
        compute="_compute_actuals",
        help="Of the period, untaxed, as the tiering run counts it: invoiced, or "
        "ordered where the policy says so.",
    )
    margin = fields.Monetary(compute="_compute_actuals")
    revenue_progress = fields.Float(
        string="Revenue Reached (%)", compute="_compute_actuals"
    )
    margin_progress = fields.Float(
        string="Margin Reached (%)", compute="_compute_actuals"
    )
    are_actuals_hidden = fields.Boolean(compute="_compute_actuals")
    review_date = bounds.Date(
        string="Next Review",
        is_plan=True,
        copy=False,
        help="The owner is reminded by an activity.",
    )
    review_activity_id = fields.Many2one(
        "mail.activity",
        is_internal=True,
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
    )

    # -------------------------------------------------------------------------
    # Computed fields
    # -------------------------------------------------------------------------

    @api.depends("partner_id", "date_from", "date_to")
    @api.depends_context("lang")
    def _compute_display_name(self):
        for plan in self:
            # sudo: whoever may read the plan may read whose it is
            name = plan.partner_id.sudo().display_name
            plan.display_name = words.join_facts(
                self.env, (name, plan._get_period_text())
            )

    def _get_period_text(self):
        """Return the period in words: years or months alone where it is whole ones."""
        first, last = self.date_from, self.date_to
        if not (first and last):
            return ""
        if (first.day, first.month, last.day, last.month) == (1, 1, 31, 12):
            years = dict.fromkeys((str(first.year), str(last.year)))
            return "–".join(years)
        if first.day == 1 and last == date_utils.end_of(last, "month"):
            days = (clock.format_month(self.env, day) for day in (first, last))
        else:
            days = (clock.format_day(self.env, day, year=True) for day in (first, last))
        return " – ".join(dict.fromkeys(days))

    @api.depends("date_from", "date_to")
    @api.depends_context("tz")
    def _compute_elapsed(self):
        today = fields.Date.context_today(self)
        for plan in self:
            plan.elapsed = 0.0
            if plan.date_from and plan.date_to and plan.date_from <= plan.date_to:
                days = (plan.date_to - plan.date_from).days + 1
                passed = (today - plan.date_from).days + 1
                plan.elapsed = 100 * min(max(passed / days, 0.0), 1.0)

    @api.depends("state", "user_id", "account_user_id")
    @api.depends_context("uid")
    def _compute_can_approve(self):
        approvable = self._filter_approvable()
        for plan in self:
            plan.can_approve = plan in approvable

    @api.depends("partner_id", "company_id")
    def _compute_relationship_level(self):
        self.relationship_level = False
        for company, plans in self.grouped("company_id").items():
            # sudo: whoever may read the customer reads its level, as on its form
            accounts = (
                self.env["key.account"]
                .sudo()
                .search_fetch(
                    [
                        ("partner_id", "in", plans.partner_id._origin.ids),
                        ("company_id", "=", company._origin.id),
                    ],
                    ["partner_id", "relationship_level"],
                )
            )
            levels = {row.partner_id.id: row.relationship_level for row in accounts}
            for plan in plans.filtered("partner_id"):
                plan.relationship_level = levels.get(
                    plan.partner_id._origin.id, LOWEST_LEVEL
                )

    @api.depends(
        "partner_id",
        "company_id",
        "is_group",
        "date_from",
        "date_to",
        "target_revenue",
        "target_margin",
    )
    @api.depends_context("uid")
    def _compute_actuals(self):
        """One query for each company."""
        group_ids = self._get_group_ids()
        shown = self._filter_shown(group_ids)
        for plan in self:
            plan.are_actuals_hidden = plan not in shown
            plan.update(
                dict.fromkeys(
                    ("revenue", "margin", "revenue_progress", "margin_progress"), 0.0
                )
            )
        for company, plans in shown.grouped("company_id").items():
            dated = plans.filtered(lambda p: p.company_id and p.date_from and p.date_to)
            actuals = get_actuals(
                self.env,
                company._origin,
                [
                    (number, group_ids[plan.id], plan.date_from, plan.date_to)
                    for number, plan in enumerate(dated)
                ],
            )
            for number, plan in enumerate(dated):
                plan.revenue, plan.margin = actuals.get(number, (0.0, 0.0))
                for name in ("revenue", "margin"):
                    target = plan[f"target_{name}"]
                    plan[f"{name}_progress"] = target and 100 * plan[name] / target

    def _get_group_ids(self):
        """Return ``{plan id: ids of the accounts that it is about}``: the customer, and
        where the plan is about the whole group, those below it. As in the portfolio,
        who was put into a group by hand belongs to that one. One query."""
        heads = {
            plan.id: (plan.partner_id._origin.id, plan.company_id._origin.id or 0)
            for plan in self.filtered("is_group")
            if plan.partner_id._origin
        }
        members = {}
        if heads:
            self.env["res.partner"].flush_model(["commercial_partner_id", "parent_id"])
            self.env["key.account"].flush_model(
                ["chosen_group_id", "company_id", "partner_id"]
            )
            partner_ids, company_ids = zip(*set(heads.values()), strict=True)
            rows = self.env.execute_query(
                SQL(
                    """
                    WITH RECURSIVE member AS (
                        SELECT head.id AS head_id, head.company_id, partner.id,
                               partner.commercial_partner_id AS account_id
                          FROM UNNEST(%s::int[], %s::int[]) AS head (id, company_id)
                          JOIN res_partner partner ON partner.id = head.id
                         UNION
                        SELECT member.head_id, member.company_id, partner.id,
                               partner.commercial_partner_id
                          FROM member
                          JOIN res_partner partner ON partner.parent_id = member.id
                    )
                    SELECT head_id, company_id, ARRAY_AGG(DISTINCT account_id)
                      FROM (
                            SELECT member.head_id, member.company_id, member.account_id
                              FROM member
                              LEFT JOIN key_account card
                                     ON card.partner_id = member.account_id
                                    AND card.company_id = member.company_id
                             WHERE member.account_id = member.head_id
                                OR COALESCE(card.chosen_group_id, member.head_id)
                                   = member.head_id
                             UNION ALL
                            SELECT member.head_id, member.company_id, card.partner_id
                              FROM member
                              JOIN key_account card
                                ON card.chosen_group_id = member.id
                               AND card.company_id = member.company_id
                             WHERE card.chosen_group_id != card.partner_id
                           ) AS account
                     GROUP BY head_id, company_id
                    """,
                    list(partner_ids),
                    list(company_ids),
                )
            )
            members = {(head_id, company_id): ids for head_id, company_id, ids in rows}
        return {
            plan.id: (
                members.get(heads.get(plan.id), [])
                if plan.is_group
                else plan.partner_id._origin.ids
            )
            for plan in self
        }

    def _filter_shown(self, group_ids):
        """Return the plans whose figures are for the user's eyes. Whoever may read a
        plan reads those of its customer. Those of a group are for whoever may read all
        of its accounts: a sum would tell of the others.

        :param dict group_ids: as of :meth:`_get_group_ids`
        """
        user = self.env.user
        if self.env.su or user.has_group("sales_team.group_sale_salesman_all_leads"):
            return self
        # sudo: whose account it is, not what it buys
        partners = self.env["res.partner"].sudo()
        partners = partners.browse({id_ for ids in group_ids.values() for id_ in ids})
        owners = (user, user.browse())
        own = set(partners.filtered(lambda p: p.user_id in owners).ids)
        return self.filtered(
            lambda plan: (
                own.issuperset(group_ids[plan.id])
                # on a form anybody's could be named
                or not plan.is_group
                and plan._origin
                and plan._origin.partner_id == plan.partner_id._origin
            )
        )

    # -------------------------------------------------------------------------
    # Constraints
    # -------------------------------------------------------------------------

    @api.constrains("date_from", "date_to")
    def _check_period(self):
        for plan in self:
            if plan.date_from > plan.date_to:
                raise ValidationError(
                    self.env._(
                        "The plan ends before it begins: enter a later last day."
                    )
                )

    @api.constrains("partner_id")
    def _check_partner(self):
        for plan in self:
            # sudo: shared customers may have parents of another company
            partner = plan.partner_id.sudo()
            account = partner.commercial_partner_id
            if partner != account:
                raise ValidationError(
                    self.env._(
                        "%(contact)s is a contact of %(account)s: make the plan for "
                        "the customer.",
                        contact=partner.name,
                        account=account.display_name,
                    )
                )

    @api.constrains("user_id", "company_id")
    def _check_user(self):
        for plan in self.filtered("user_id"):
            if not plan._can_work_on(plan.user_id):
                raise ValidationError(
                    self.env._(
                        "%(user)s doesn't work in sales of %(company)s: choose another "
                        "owner of the plan.",
                        user=plan.user_id.sudo().name,
                        company=plan.company_id.name,
                    )
                )

    def _can_work_on(self, user):
        """Return whether the plan would be there for ``user``, as its owner or one of
        its team."""
        user = user.sudo()
        return (
            user.has_group("sales_team.group_sale_salesman")
            and self.company_id in user.company_ids
        )

    def _can_be_read_by(self, user):
        plan = self.with_user(user)
        plan = plan.with_context(allowed_company_ids=self.company_id.ids)
        return plan.has_access("read")

    # -------------------------------------------------------------------------
    # CRUD
    # -------------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        bounds.check_values(self, vals_list)
        self._check_client_values(vals_list)
        if not self.env.su:
            # Defaults from a client's context are values of the client.
            self = self.with_context(clean_context(self.env.context))
        plans = super().create([self._prepare_values(vals) for vals in vals_list])
        plans.partner_id._check_own_account()
        plans._update_reviews()
        return plans

    def write(self, vals):
        if not self:
            return super().write(vals)
        bounds.check_values(self, [vals])
        self._check_client_values([vals])
        self._check_approved(vals)
        vals = self._prepare_values(vals)
        moved = self.browse()
        if "partner_id" in vals:
            moved = self.filtered(lambda plan: plan.partner_id.id != vals["partner_id"])
        res = super().write(vals)
        moved.partner_id._check_own_account()
        if REVIEW_FIELDS & vals.keys():
            self._update_reviews()
        if {"partner_id", "user_id"} & vals.keys():
            self._hand_over_objectives()
        return res

    @api.ondelete(at_uninstall=False)
    def _unlink_except_approved(self):
        for plan in self:
            if plan.state in ("approved", "closed"):
                raise UserError(
                    self.env._(
                        "%s was approved: close the plan instead of deleting it.",
                        plan.display_name,
                    )
                )

    def unlink(self):
        # sudo: whoever may delete the plan; core deletes those of documents later
        self.sudo().review_activity_id.unlink()
        return super().unlink()

    @api.model
    def _prepare_values(self, vals):
        """Return ``vals`` for the company that keeps the accounts of the one named,
        the team first: whoever is to reach an objective may be new in it."""
        vals = dict(sorted(vals.items(), key=lambda item: item[0] != "member_ids"))
        if not vals.get("company_id"):
            return vals
        company = self.env["res.company"].browse(vals["company_id"])
        return {**vals, "company_id": company._get_key_account_home().id}

    @api.model
    def _check_client_values(self, vals_list):
        """Refuse values that no form writes, and a plan without a period."""
        if not self.env.su and get_readonly_names(self, vals_list):
            raise AccessError(
                self.env._(
                    "A plan is submitted, approved and closed by its buttons alone."
                )
            )
        for vals in vals_list:
            if not (vals.get("date_from", True) and vals.get("date_to", True)):
                raise ValidationError(
                    self.env._(
                        "A plan needs a period: enter its first and its last day."
                    )
                )

    def _check_approved(self, vals):
        """Refuse to change what was approved."""
        approved = self.filtered(lambda plan: plan.state in ("approved", "closed"))
        if approved and not self.env.su and APPROVED_FIELDS & vals.keys():
            raise UserError(
                self.env._(
                    "%s was approved: have it reopened before you change account, "
                    "period or targets.",
                    approved[0].display_name,
                )
            )

    def _message_auto_subscribe(self, updated_values, followers_existing_policy="skip"):
        # Nobody is told of an assignment: the reminder of the review does that
        return True

    def _mail_get_partner_fields(self, introspect_fields=False):
        # No mail to customers: nothing suggests them
        return []

    # -------------------------------------------------------------------------
    # Actions
    # -------------------------------------------------------------------------

    def action_submit(self):
        """Hand in drafts for approval."""
        self._move(("draft",), {"state": "submitted"})

    def action_approve(self):
        """Approve plans as of today.

        :raise AccessError: if the user leads no team of the owner, and is no
            administrator
        """
        self._check_can_approve()
        self._move(
            ("draft", "submitted"),
            {
                "state": "approved",
                "approver_id": self.env.uid,
                "date_approved": fields.Date.context_today(self),
            },
        )

    def action_close(self):
        """Close approved plans: their period is over, or they are given up."""
        self._move(("approved",), {"state": "closed"})

    def action_reopen(self):
        """Make drafts of plans again; of approved ones, whoever may approve them.

        :raise AccessError: if the user may not
        """
        self.filtered(lambda plan: plan.state != "submitted")._check_can_approve()
        self._move(
            ("submitted", "approved", "closed"),
            {"state": "draft", "approver_id": False, "date_approved": False},
        )

    def action_fill_categories(self):
        """Note the categories of products that the customer bought from us since a year
        before the plan began; what is noted of others stays."""
        self.check_access("write")
        group_ids = self._get_group_ids()
        shown = self._filter_shown(group_ids)
        for plan in shown:
            first = fields.Date.subtract(plan.date_from, years=1)
            bought = get_bought_categories(
                self.env, plan.company_id, group_ids[plan.id], first, plan.date_to
            )
            lines = plan.category_ids
            known = lines.filtered(lambda line, ids=bought: line.category_id.id in ids)
            known.filtered(lambda line: line.status != "bought").status = "bought"
            lines.create(
                [
                    {"plan_id": plan.id, "category_id": id_, "status": "bought"}
                    for id_ in bought
                    if id_ not in lines.category_id.ids
                ]
            )

    def action_open_partner(self):
        self.ensure_one()
        self.check_access("read")
        return {
            "type": "ir.actions.act_window",
            "res_model": "res.partner",
            "res_id": self.partner_id.id,
            "view_mode": "form",
        }

    # -------------------------------------------------------------------------
    # Business
    # -------------------------------------------------------------------------

    def _move(self, states, vals):
        """Write ``vals``, what no client writes, to plans in one of ``states``.

        :raise AccessError: without the right to write the plans
        :raise UserError: if one of them is in another state
        """
        self.check_access("write")
        for plan in self:
            if plan.state not in states:
                raise UserError(
                    self.env._(
                        "%s has moved on already: refresh the page.", plan.display_name
                    )
                )
        self.sudo().write(vals)

    def _filter_approvable(self):
        """Return the plans that the user may approve: an administrator all, the leader
        of a team those of its members, but not the own ones."""
        user = self.env.user
        if self.env.su or user.has_group("sales_team.group_sale_manager"):
            return self
        # sudo: who leads whom
        members = self.env["crm.team.member"].sudo()
        members = members.search([("crm_team_id.user_id", "=", user.id)])
        led = members.user_id - user
        return self.filtered(lambda plan: plan._get_responsible() in led)

    def _get_responsible(self):
        """Return whose plan it is: the owner's, else of the customer's salesperson."""
        return self.user_id or self.account_user_id

    def _check_can_approve(self):
        refused = self - self._filter_approvable()
        if refused:
            raise AccessError(
                self.env._(
                    "%s is approved by the leader of its owner's team, or a sales "
                    "administrator.",
                    refused[0].display_name,
                )
            )

    def _hand_over_objectives(self):
        """Give what is to be reached, and done for it, by people who can't read the
        plan any more to the owner: they would never see it again."""
        # sudo: whoever changes owner or team may not read the plan either then
        for plan in self.sudo():
            objectives = plan.objective_ids
            owner = plan._get_responsible().filtered(
                lambda user, plan=plan: user.active and plan._can_work_on(user)
            )
            for user in objectives.user_id | objectives.activity_ids.user_id:
                if plan._can_be_read_by(user):
                    continue
                objectives.filtered(lambda o, u=user: o.user_id == u).user_id = owner
                # quick: no mail
                objectives.activity_ids.filtered(
                    lambda activity, u=user: activity.user_id == u
                ).with_context(mail_activity_quick_update=True).user_id = owner

    def _update_reviews(self):
        """Have one activity remind the owner of each review that is to come; no mail
        goes out. One that was done stays done until there is another day."""
        # sudo: the reminder may be somebody else's, who was the owner before
        activities = self.env["mail.activity"].sudo()
        activities = activities.with_context(mail_activity_quick_update=True)
        todo = self.env.ref("mail.mail_activity_data_todo")
        new = {}
        for plan in self.sudo():
            activity = plan.review_activity_id.with_env(activities.env)
            user = plan._get_responsible().filtered("active")
            # the customer's salesperson may work in a branch alone
            is_theirs = user and plan._can_work_on(user)
            if not (plan.review_date and is_theirs and plan.state != "closed"):
                activity.filtered("active").unlink()
                continue
            values = {"date_deadline": plan.review_date, "user_id": user.id}
            if activity.active:
                if (activity.date_deadline, activity.user_id) != (
                    plan.review_date,
                    user,
                ):
                    activity.write(values)
            elif activity.date_deadline != plan.review_date:
                texts = self.with_context(lang=user.lang).env
                new[plan] = {
                    **values,
                    "res_model_id": self.env["ir.model"]._get_id(self._name),
                    "res_id": plan.id,
                    "activity_type_id": todo.id,
                    "summary": texts._("Review the account plan"),
                    "automated": True,
                }
        # whoever says the same at this moment meets this one here
        self.flush_recordset(["review_date"])
        for plan, activity in zip(
            new, activities.create(list(new.values())), strict=True
        ):
            plan.review_activity_id = activity

    @api.model
    def _follow_commercial_entity(self, contacts):
        """Give the plans of customers that became contacts to their account."""
        for plan in self.search([("partner_id", "in", contacts.ids)]):
            plan.partner_id = plan.partner_id.commercial_partner_id

    @api.model
    def _get_in_force_domain(self, today):
        return (
            Domain("state", "!=", "closed")
            & Domain("date_from", "<=", today)
            & Domain("date_to", ">=", today)
        )

    @api.model
    def _get_current(self, company, partner_ids):
        """Return {customer id: the plan in force today}, of those the user may read: an
        approved one before others, a customer's own before its group's."""
        plans = self.search(
            self._get_in_force_domain(clock.get_today(company))
            & Domain("partner_id", "in", list(partner_ids))
            & Domain("company_id", "=", company.id)
        )
        result = {}
        for plan in plans.sorted(lambda p: (p.state != "approved", p.is_group)):
            result.setdefault(plan.partner_id.id, plan)
        return result
