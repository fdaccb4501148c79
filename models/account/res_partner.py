from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import SQL

from ...const import LOWEST_LEVEL
from . import bounds, decisions
from .columns import INDIRECT_OPERATORS, is_among, search_column
from .decisions import JoinedAccount
from .hidden import search_shown
from .key_account import DECISIONS, JUDGEMENTS
from .key_account_engagement import VALUE_TYPES
from .key_account_shown import open_dialog

# What salespeople decide about their own accounts. The interval isn't among them: who
# may write the customer may say how often to go there.
GUARDED_FIELDS = {
    "account_value_type",
    "executive_sponsor_id",
    "account_competition",
    "account_accessibility",
    "account_buying_process",
    "account_quality_standards",
    "key_account_group_id",
    "key_account_receiving_hours",
    "key_account_wallet",
    "relationship_level",
}
# What is shown to those alone who see the account's figures.
MONEY_DECISIONS = {"key_account_wallet"}


class ResPartner(models.Model):
    """What customers, and their contacts, show of their account in the current company.

    Decisions about an account are columns of ``key.account``. The fields here are
    computed from it, searched, sorted and grouped by it (:mod:`.decisions`), and what
    is written to them goes there: ``create`` and ``write`` hand it over, past
    core, which hides the fields of an inverse method from all that follows from it.
    Whoever may read the customer reads them; figures and dates follow the record
    rules of accounts.
    """

    _inherit = "res.partner"

    # Read by one query for all of these fields, without the rules of accounts.
    key_account_id = fields.Many2one(
        "key.account",
        compute="_compute_key_account_id",
        compute_sudo=True,
        # the names of rows that the reader may not open
        exportable=False,
        groups="sales_team.group_sale_salesman",
    )
    key_account_ids = fields.One2many(
        "key.account",
        "partner_id",
        string="Accounts by Company",
        search="_search_key_account_ids",
        groups="sales_team.group_sale_salesman",
        copy=False,
    )
    account_value_type = decisions.Selection(
        VALUE_TYPES,
        string="Value Type",
        compute="_compute_decisions",
        compute_sudo=True,
        readonly=False,
        search=search_column("account_value_type"),
        groups="sales_team.group_sale_salesman",
        copy=False,
        help="What the customer buys on in this company (after Rackham and De "
        "Vincentis).\n"
        "Intrinsic: buys on price; the sale is transactional.\n"
        "Extrinsic: wants advice and added value; the sale is consultative.\n"
        "Strategic: shares competences with us, a relation between enterprises.",
    )
    account_competition = decisions.Selection(
        JUDGEMENTS,
        string="Competition",
        compute="_compute_decisions",
        compute_sudo=True,
        readonly=False,
        search=search_column("account_competition"),
        groups="sales_team.group_sale_salesman",
        copy=False,
        help="How strong others are with this customer in this company: "
        "low, medium or high.",
    )
    account_accessibility = decisions.Selection(
        JUDGEMENTS,
        string="Accessibility",
        compute="_compute_decisions",
        compute_sudo=True,
        readonly=False,
        search=search_column("account_accessibility"),
        groups="sales_team.group_sale_salesman",
        copy=False,
        help="How far the customer accepts us and what we sell: low, medium or high.",
    )
    account_buying_process = decisions.Selection(
        JUDGEMENTS,
        string="Formal Buying Process",
        compute="_compute_decisions",
        compute_sudo=True,
        readonly=False,
        search=search_column("account_buying_process"),
        groups="sales_team.group_sale_salesman",
        copy=False,
        help="How far a team decides by a regular process: low, medium or high.",
    )
    account_quality_standards = decisions.Selection(
        JUDGEMENTS,
        string="Quality Standards",
        compute="_compute_decisions",
        compute_sudo=True,
        readonly=False,
        search=search_column("account_quality_standards"),
        groups="sales_team.group_sale_salesman",
        copy=False,
        help="How strict the customer is about quality: low, medium or high.",
    )
    executive_sponsor_id = decisions.Many2one(
        "res.users",
        compute="_compute_decisions",
        compute_sudo=True,
        readonly=False,
        search=search_column("executive_sponsor_id"),
        groups="sales_team.group_sale_salesman",
        copy=False,
        domain=lambda self: [
            ("share", "=", False),
            ("company_ids", "in", self.env.company.ids),
        ],
        help="The executive of ours who visits this customer. Executive visits go to "
        "the sponsor, who sees them also without sales rights, else to the leader of "
        "the sales team.",
    )
    key_account_is_excluded = decisions.Boolean(
        string="Not an Account",
        compute="_compute_decisions",
        compute_sudo=True,
        readonly=False,
        search=search_column("key_account_is_excluded"),
        groups="sales_team.group_sale_salesman",
        copy=False,
        help="A walk-in customer, a payer, a bank: takes no share of the figures and "
        "gets no visit, whatever it buys. Set by a sales administrator. Our own "
        "companies, whoever works here and the visitors of the website are no accounts "
        "anyway.",
    )
    key_account_group_id = decisions.Many2one(
        "res.partner",
        string="Corporate Group",
        compute="_compute_decisions",
        compute_sudo=True,
        readonly=False,
        search=search_column("key_account_group_id"),
        groups="sales_team.group_sale_salesman",
        copy=False,
        domain="['|', ('id', '=', id), '&', ('is_company', '=', True), "
        "('parent_id', '=', False)]",
        help="Accounts of one group count as one when it is asked how much depends on "
        "whom. Empty: the topmost of the parent companies. Choose the customer itself "
        "if it stands alone although it has a parent company.",
    )
    # One text: it is imported and exported as it is. People see it in words.
    key_account_receiving_hours = decisions.Char(
        string="Receiving Hours",
        compute="_compute_decisions",
        compute_sudo=True,
        readonly=False,
        search=search_column("key_account_receiving_hours"),
        groups="sales_team.group_sale_salesman",
        copy=False,
        help="When the customer receives visitors, as in “Mo-We,Fr 08:00-12:00; closed "
        "2026-08-01/2026-08-31”. Visits are planned on these days alone. Empty: "
        "always.",
    )
    key_account_receiving_text = fields.Char(
        string="Receives",
        compute="_compute_key_account_receiving_text",
        compute_sudo=True,
        groups="sales_team.group_sale_salesman",
        exportable=False,
    )
    # Money, and so of own accounts alone. Not Monetary, see the figures below it.
    key_account_wallet = decisions.Float(
        string="Purchase Potential",
        digits=(16, 2),
        compute="_compute_key_account_wallet",
        readonly=False,
        search=search_column("key_account_wallet"),
        groups="sales_team.group_sale_salesman",
        copy=False,
        bounds=(0, bounds.MAX_AMOUNT),
        aggregator=None,
        help="What the customer buys in a year, from all its suppliers, of what we "
        "sell, in the currency of the company: an estimate. The share of wallet is our "
        "revenue in percent of it.",
    )
    key_account_is_lost = fields.Boolean(
        string="Lost Account",
        compute="_compute_key_account_lost",
        search="_search_key_account_is_lost",
        groups="sales_team.group_sale_salesman",
    )
    key_account_lost_date = fields.Date(
        string="Lost On",
        compute="_compute_key_account_lost",
        search="_search_key_account_lost_date",
        groups="sales_team.group_sale_salesman",
    )

    @api.depends("commercial_partner_id")
    @api.depends_context("company")
    def _compute_key_account_id(self):
        accounts = self.env["key.account"].search_fetch(
            [
                ("partner_id", "in", self.commercial_partner_id._origin.ids),
                ("company_id", "=", self.env.company._get_key_account_home().id),
            ],
            order="id",
        )
        account_by_partner = {account.partner_id.id: account for account in accounts}
        for partner in self:
            partner.key_account_id = account_by_partner.get(
                partner.commercial_partner_id._origin.id, False
            )

    # Not on commercial_partner_id: a new customer in the form would lose what was
    # entered as soon as is_company changes. The account's create and write, and the
    # customer's write, tell these fields (_forget_key_accounts).
    @api.depends("parent_id")
    @api.depends_context("company")
    def _compute_decisions(self):
        # the others, which lists show alone, have methods of their own
        names = [
            name
            for name in DECISIONS
            if self._fields[name].compute == "_compute_decisions"
        ]
        for partner in self:
            account = partner.key_account_id
            for name in names:
                partner[name] = account[DECISIONS[name]]

    @api.depends("key_account_receiving_hours")
    @api.depends_context("company", "lang", "tz")
    def _compute_key_account_receiving_text(self):
        accounts = self.env["key.account"]
        for partner in self:
            text = partner.key_account_receiving_hours
            partner.key_account_receiving_text = text and accounts._get_receiving_words(
                text
            )

    @api.depends("key_account_id", "parent_id")
    @api.depends_context("company", "uid")
    def _compute_key_account_wallet(self):
        for partner, account in self._get_readable_accounts():
            partner.key_account_wallet = account.wallet

    @api.model
    def _forget_key_accounts(self):
        """Have customers read their accounts again."""
        # flush=False: none of these fields is stored
        self.env["res.partner"].invalidate_model(
            [
                name
                for name, field in self._fields.items()
                if "crm_key_account" in field._modules and field.compute
            ],
            flush=False,
        )

    @api.model
    def _get_new_key_account_home(self, vals):
        """Return the company that keeps the accounts of customers with ``vals``."""
        company = self.env["res.company"].browse(vals["company_id"])
        return company._get_key_account_home()

    def _get_readable_account(self):
        """Return the customer's account in this company if its figures are for the
        user's eyes: a rep sees those of own accounts."""
        return self.key_account_id._filtered_access("read")

    def _get_readable_accounts(self):
        """Return the same of many: pairs of a customer and its account, or none."""
        # sudo: else each customer's field would ask for the user's groups
        known = self.sudo()
        accounts = known.mapped("key_account_id").with_env(self.env)
        none = accounts.browse()
        account_by_id = {
            account.id: account for account in accounts._filtered_access("read")
        }
        return [
            (partner, account_by_id.get(row.key_account_id.id, none))
            for partner, row in zip(self, known, strict=True)
        ]

    @api.depends("key_account_id")
    @api.depends_context("company", "uid")
    def _compute_key_account_lost(self):
        for partner, account in self._get_readable_accounts():
            partner.key_account_is_lost = account.is_lost
            partner.key_account_lost_date = account.lost_date

    # -------------------------------------------------------------------------
    # Searching, sorting and grouping by decisions
    # -------------------------------------------------------------------------

    def _join_key_account(self, alias, query):
        """Add the customer's account in this company to ``query``, and return its
        alias; see :meth:`_get_decision_sql`."""
        company = self.env.company._get_key_account_home()
        table = JoinedAccount(query.make_alias(alias, f"key_account_{company.id}"))
        query.add_join(
            "LEFT JOIN",
            table,
            "key_account",
            self._get_same_account_sql(alias, table, company),
        )
        return table

    def _get_same_account_sql(self, alias, table, company):
        """Return the condition that ``table`` is the customer's account."""
        columns = self.env["key.account"]._fields
        return SQL(
            "%s = %s AND %s = %s",
            SQL.identifier(table, "partner_id", to_flush=columns["partner_id"]),
            self._field_to_sql(alias, "commercial_partner_id"),
            SQL.identifier(table, "company_id", to_flush=columns["company_id"]),
            company.id,
        )

    def _get_decision_sql(self, alias, name):
        """Return what the customer's account in this company says in the field
        ``name``, as an SQL expression.

        :param alias: of the customer, or of an account that the query has already
            (:meth:`_join_key_account`)
        """
        is_joined = isinstance(alias, JoinedAccount)
        table = alias if is_joined else "key_account"
        columns = self.env["key.account"]._fields
        column = DECISIONS[name]
        value = SQL.identifier(table, column, to_flush=columns[column])
        if name in MONEY_DECISIONS:
            # Each by its number: those of IN, in a list of columns, PostgreSQL looks
            # through for each row as soon as they don't fit into its memory.
            value = SQL(
                """
                CASE WHEN EXISTS (
                    SELECT FROM %s AS readable WHERE readable.id = %s) THEN %s END
                """,
                self._search_accounts(Domain.TRUE).subselect(
                    SQL.identifier("key_account", "id")
                ),
                SQL.identifier(table, "id"),
                value,
            )
        if not is_joined:
            company = self.env.company._get_key_account_home()
            same = self._get_same_account_sql(alias, table, company)
            value = SQL("(SELECT %s FROM key_account WHERE %s)", value, same)
        if name == "relationship_level":
            value = SQL("COALESCE(%s, %s)", value, LOWEST_LEVEL)
        elif name == "visit_interval_days":
            value = SQL("COALESCE(%s, 0)", value)
        elif name == "key_account_is_excluded":
            value = SQL("COALESCE(%s, FALSE)", value)
        return value

    def _search_key_account_ids(self, operator, value):
        return search_shown("key_account_ids", operator, value)

    def _search_key_account_lost_date(self, operator, value):
        return self._search_account_date("lost_date", operator, value)

    def _search_key_account_is_lost(self, operator, value):
        if operator != "in":
            return NotImplemented
        return Domain("key_account_lost_date", "!=", False)

    def _search_account_date(self, field, operator, value, **path):
        """Search by a date of the account; ``path`` as of
        :meth:`_get_account_domain`."""
        if operator in INDIRECT_OPERATORS:
            return NotImplemented
        if operator == "in" and False in value:
            dated = self._get_account_domain(Domain(field, "!=", False), **path)
            rest = Domain(field, "in", [day for day in value if day])
            return ~dated | self._get_account_domain(rest, **path)
        return self._get_account_domain(Domain(field, operator, value), **path)

    def _get_account_domain(self, domain, path="commercial_partner_id"):
        """Return the domain on customers whose account in this company fits.

        :param str path: what leads there from what is searched
        """
        return is_among(path, self._search_accounts(domain), "partner_id")

    def _search_accounts(self, domain):
        """Return a query for the accounts of this company.

        :raise UserError: where a text is compared with a number or a day
        """
        home = self.env.company._get_key_account_home()
        company = Domain("company_id", "=", home.id)
        try:
            return self.env["key.account"]._search(company & domain)
        except (TypeError, ValueError) as error:
            raise UserError(
                self.env._("Nothing can be looked for like that: %s", error)
            ) from error

    @api.constrains("partner_latitude", "partner_longitude")
    def _check_coordinates(self):
        for partner in self:
            if abs(partner.partner_latitude) > 90:
                raise ValidationError(
                    self.env._(
                        "The latitude of %s must be from -90 to 90 degrees.",
                        partner.display_name,
                    )
                )
            if abs(partner.partner_longitude) > 180:
                raise ValidationError(
                    self.env._(
                        "The longitude of %s must be from -180 to 180 degrees.",
                        partner.display_name,
                    )
                )

    # -------------------------------------------------------------------------
    # Decisions
    # -------------------------------------------------------------------------

    @api.model
    def _take_decisions(self, vals):
        return {name: vals[name] for name in DECISIONS if name in vals}

    @api.model
    def _take_new_decisions(self, vals_list):
        """Return the decisions in values of new customers, a dict for each: nobody
        decides by what every new customer says, as forms and imports do.

        :raise AccessError: if somebody outside sales decides
        """
        # A client's defaults count as well, if the client knows the field.
        defaults = {
            name: self.env.context[f"default_{name}"]
            for name in DECISIONS.keys() - self._get_hidden_decisions()
            if f"default_{name}" in self.env.context
        }
        decided_list = [
            {
                name: value
                for name, value in {**defaults, **self._take_decisions(vals)}.items()
                if value and (name, value) != ("relationship_level", LOWEST_LEVEL)
            }
            for vals in vals_list
        ]
        for name in set().union(*decided_list):
            self._check_field_access(self._fields[name], "write")
        return decided_list

    @api.model
    def _get_hidden_decisions(self):
        """Return the names of the decisions that the user doesn't know of."""
        return {
            name
            for name in DECISIONS
            if not self._has_field_access(self._fields[name], "write")
        }

    @api.model
    def _forget_hidden_defaults(self):
        """Return the model without defaults for what the user doesn't know of: core
        refuses these."""
        hidden = {f"default_{name}" for name in self._get_hidden_decisions()}
        if hidden.isdisjoint(self.env.context):
            return self
        context = {k: v for k, v in self.env.context.items() if k not in hidden}
        return self.with_env(self.env(context=context))

    def _get_said(self, decided):
        """Return those of the values that aren't what the customer shows already."""
        self.ensure_one()
        fields_ = self._fields
        return {
            name: value
            for name, value in decided.items()
            if fields_[name].convert_to_cache(value, self)
            != fields_[name].convert_to_cache(self[name], self)
        }

    @api.model
    def _leave_decisions(self, vals):
        return {name: value for name, value in vals.items() if name not in DECISIONS}

    def _write_decisions(self, decided):
        """Hand decisions to the accounts of this company.

        :param dict decided: values of the customers' fields by customer; of contacts
            they say nothing, these show what their account says
        """
        decisions = {}
        for partner, values in decided.items():
            if values and partner == partner.sudo().commercial_partner_id:
                decisions[partner.id] = {
                    DECISIONS[name]: self._fields[name].convert_to_cache(value, partner)
                    for name, value in values.items()
                }
        if decisions:
            # sudo: create and write have checked that the user may
            home = self.env.company._get_key_account_home()
            self.env["key.account"].sudo()._decide(home, decisions)

    def _take_back_decisions(self):
        """Take back what was decided about these accounts."""
        self.env["key.account"].search([("partner_id", "in", self.ids)]).write(
            dict.fromkeys(DECISIONS.values(), False)
            | {"relationship_level": LOWEST_LEVEL}
        )

    def _check_decided_on_accounts(self):
        contacts = self.filtered(lambda p: p != p.commercial_partner_id)
        if contacts:
            raise ValidationError(
                self.env._(
                    "Set it on %(account)s: its contacts show the same.",
                    account=contacts[0].commercial_partner_id.display_name,
                )
            )

    def _check_can_decide_on_account(self):
        """Refuse to decide on contacts, and on colleagues' accounts.

        :raise AccessError: if an account has another salesperson
        :raise ValidationError: if one of them is a contact
        """
        self._check_own_account()
        self._check_decided_on_accounts()

    def _check_can_exclude(self):
        if not self.env.su and not self.env.user.has_group(
            "sales_team.group_sale_manager"
        ):
            raise AccessError(
                self.env._("Only a sales administrator says who is not an account.")
            )

    def _check_can_choose_group(self, value):
        """Refuse what is no group, or not for the user's eyes.

        :param value: the group, or its id
        :raise AccessError: if the user may not read it
        :raise ValidationError: if it is a contact, or belongs to a group itself
        """
        group = bounds.to_record(self.env["res.partner"], value)
        if not group or group == self:
            return
        home = self.env.company._get_key_account_home()
        # sudo: also by colleagues' accounts
        users = self.env["key.account"].sudo()
        if users.search_count(
            [
                ("company_id", "=", home.id),
                ("chosen_group_id", "in", self.ids),
                ("partner_id", "not in", self.ids),
            ],
            limit=1,
        ):
            raise ValidationError(
                self.env._(
                    "%s is the group of other accounts: choose another group for those "
                    "first.",
                    self[:1].display_name,
                )
            )
        group.check_access("read")
        # sudo: whoever may read the group may be told why it is none
        group = group.sudo()
        top = group._get_topmost_parent()
        chosen = group.with_company(home).key_account_group_id
        if group != group.commercial_partner_id or top != group or chosen - group:
            raise ValidationError(
                self.env._(
                    "%(group)s belongs to %(top)s: choose that one as the group.",
                    group=group.display_name,
                    top=(chosen or top).display_name,
                )
            )

    def _get_topmost_parent(self):
        """Return the end of the chain of parents, the customer itself if it has
        none."""
        self.ensure_one()
        top = self
        while top.parent_id:
            top = top.parent_id
        return top

    def _check_own_account(self):
        """Refuse those who see their own documents only to decide on colleagues'
        accounts.

        :raise AccessError: if an account has another salesperson
        """
        if self.env.su:
            return
        if not self.env.user.has_group("sales_team.group_sale_salesman"):
            raise AccessError(self.env._("Only sales decides about accounts."))
        for partner in self:
            if not partner._is_own_account():
                account = partner.sudo().commercial_partner_id
                raise AccessError(
                    self.env._(
                        "%(account)s is an account of %(user)s: you decide on your own "
                        "accounts only.",
                        account=account.display_name,
                        user=account.user_id.name,
                    )
                )

    def _check_opens_account(self):
        """Refuse those outside sales the buttons that open what belongs to accounts.

        :raise AccessError: also without the right to read the customer
        """
        self.ensure_one()
        self.check_access("read")
        self.env["key.account"].check_access("read")

    def _filter_others_accounts(self):
        """Return the colleagues' accounts, for those who see their own documents only.
        Outside sales nobody has accounts: what core lets them do is enough."""
        if self.env.su or not self.env.user.has_group("sales_team.group_sale_salesman"):
            return self.browse()
        return self.filtered(
            lambda partner: (
                partner == partner.sudo().commercial_partner_id
                and not partner._is_own_account()
            )
        )

    def _check_can_take_accounts(self, user_id=None):
        """Refuse to take a colleague's account, as core refuses it for leads: who may
        not see what was planned and noted there could give it to anybody.

        :param user_id: of the salesperson to be; None: the customers are merged
        :raise AccessError: if an account has another salesperson
        """
        for partner in self._filter_others_accounts():
            if user_id is None or partner.sudo().user_id.id != user_id:
                # the refusal names both
                partner.check_access("read")
                partner._check_own_account()

    def _check_still_accounts(self):
        """Refuse to make colleagues' accounts contacts, whose visits their account
        gets.

        :raise AccessError: if one of them is a contact now
        """
        for partner in self:
            if partner != partner.sudo().commercial_partner_id:
                raise AccessError(
                    self.env._(
                        "%(account)s is an account of %(user)s: ask them to make it a "
                        "contact.",
                        account=partner.display_name,
                        user=partner.sudo().user_id.name,
                    )
                )

    def _is_own_account(self):
        """Return whether the user may see and decide all about the account: it is the
        user's or nobody's, or the user sees everybody's."""
        self.ensure_one()
        user = self.env.user
        account = self.sudo().commercial_partner_id
        return (
            self.env.su
            or account.user_id in (user, user.browse())
            or user.has_group("sales_team.group_sale_salesman_all_leads")
        )

    # -------------------------------------------------------------------------
    # Actions
    # -------------------------------------------------------------------------

    def action_open_key_account_loss(self):
        """Open the dialog that marks the account as lost.

        :raise AccessError: if it is a colleague's, for those who see their own
            documents only: nothing that is typed there could be kept
        """
        self._check_opens_account()
        self._check_own_account()
        return open_dialog(
            self.env._("Mark as Lost"),
            "key.account.loss.set",
            partner_id=self.commercial_partner_id.id,
        )

    def action_open_key_account_receiving(self):
        """Open the dialog that says when the account receives visitors.

        :raise AccessError: if it is a colleague's, for those who see their own
            documents only
        """
        self._check_opens_account()
        self._check_own_account()
        return open_dialog(
            self.env._("When They Receive"),
            "key.account.receiving.set",
            partner_id=self.commercial_partner_id.id,
        )

    def action_key_account_return(self):
        """Note that the lost customer came back to this company.

        :raise UserError: if it isn't lost
        """
        self.ensure_one()
        account = self.commercial_partner_id
        (self | account).check_access("read")
        account._check_own_account()
        # sudo: the check above is the right to do it
        loss = (
            self.env["key.account.loss"]
            .sudo()
            .search(
                [
                    ("partner_id", "=", account.id),
                    ("company_id", "=", self.env.company._get_key_account_home().id),
                    ("state", "=", "lost"),
                ]
            )
        )
        if not loss:
            raise UserError(
                self.env._("%s isn't lost: refresh the page.", account.display_name)
            )
        loss._return()
        return True

    def action_view_key_account_losses(self):
        self._check_opens_account()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_key_account.key_account_loss_action"
        )
        action["domain"] = [("partner_id", "=", self.commercial_partner_id.id)]
        action["context"] = {}
        return action

    # -------------------------------------------------------------------------
    # Business
    # -------------------------------------------------------------------------

    def _get_previous_users(self, vals):
        """Return {customer id: salesperson's id} before ``vals`` changes it, empty if
        it doesn't."""
        if "user_id" not in vals:
            return {}
        return {partner.id: partner.user_id.id for partner in self.sudo()}
