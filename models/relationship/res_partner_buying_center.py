from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL

from ...const import DECISION_LEVELS, STANCES
from ..account import bounds, clock, features
from ..account.key_account import DEFAULT_MONTHS

SALES = "sales_team.group_sale_salesman"
# What coverage and the ladder read off contacts.
CONTACT_FIELDS = {
    "active",
    "buying_role_ids",
    "company_id",
    "decision_level",
    "is_company",
    "left_company_date",
    "parent_id",
    "stance",
}


class ResPartner(models.Model):
    """The buying centre: who plays which part at the customer's, and whom we met."""

    # A file for each concern: in one, they would be more than anybody reads.
    _inherit = "res.partner"

    buying_role_ids = fields.Many2many(
        "key.account.buying.role",
        "key_account_buying_role_partner_rel",
        "partner_id",
        "role_id",
        string="Buying Roles",
        groups=SALES,
        copy=False,
    )
    decision_level = fields.Selection(
        DECISION_LEVELS,
        groups=SALES,
        copy=False,
        help="Where in the customer's hierarchy: general management, heads of "
        "departments, or those who do the work.",
    )
    stance = fields.Selection(
        STANCES,
        groups=SALES,
        copy=False,
        help="Champion: sells for us inside. Supporter: prefers us. Opponent: prefers "
        "somebody else.",
    )
    left_company_date = bounds.Date(
        string="Left the Company On",
        groups=SALES,
        copy=False,
        help="From this day on the contact doesn't count any more, and no visit names "
        "it.",
    )
    last_met_date = fields.Date(
        string="Last Met",
        compute="_compute_last_met_date",
        search="_search_last_met_date",
        groups=SALES,
        help="The last done visit at which this contact was met.",
    )

    @api.depends_context("company", "uid")
    def _compute_last_met_date(self):
        # The rules of visits apply: a rep sees whom the reps of own accounts met.
        groups = self.env["key.account.visit"]._read_group(
            [
                ("contact_ids", "in", self._origin.ids),
                ("company_id", "=", self.env.company._get_key_account_home().id),
                ("state", "=", "done"),
            ],
            ["contact_ids"],
            ["date_done:max"],
        )
        dates = {contact.id: day for contact, day in groups}
        for partner in self:
            partner.last_met_date = dates.get(partner._origin.id)

    def _search_last_met_date(self, operator, value):
        if operator not in ("in", "<", "<=", ">", ">="):
            return NotImplemented
        if operator == "in":
            days = [bounds.to_day(self.env, day) for day in value if day]
            found = Domain("id", "in", self._get_met_sql(SQL("IN"), tuple(days)))
            if not days:
                found = Domain.FALSE
            if False in value:
                found |= Domain("id", "not in", self._get_met_sql())
            return found
        day = bounds.to_day(self.env, value)
        return Domain("id", "in", self._get_met_sql(SQL(operator), day))

    def _get_met_sql(self, operator=None, value=None):
        """Return a query for the contacts whose last visit compares with ``value``, by
        the rules of visits; without an operator for all who were met."""
        visits = self.env["key.account.visit"]._search(
            Domain("company_id", "=", self.env.company._get_key_account_home().id)
            & Domain("state", "=", "done")
        )
        compared = SQL("TRUE")
        if operator:
            compared = SQL("MAX(visit.date_done) %s %s", operator, value)
        return SQL(
            """(
            SELECT rel.contact_id
              FROM key_account_visit_contact_rel rel
              JOIN key_account_visit visit ON visit.id = rel.visit_id
             WHERE visit.id IN %s
             GROUP BY rel.contact_id
            HAVING %s)
            """,
            visits.subselect(),
            compared,
        )

    # -------------------------------------------------------------------------
    # Who there is
    # -------------------------------------------------------------------------

    @api.model
    def _get_people_domain(self, accounts, company):
        """Return the domain of the contact persons of ``accounts``, also of those who
        left: no addresses, and of the branches whose accounts ``company`` keeps."""
        companies = company._get_key_account_branches()
        return (
            Domain("commercial_partner_id", "in", accounts.ids)
            & Domain("company_id", "in", [*companies.ids, False])
            & Domain("type", "=", "contact")
            & Domain("is_company", "=", False)
        )

    @api.model
    def _get_present_domain(self, accounts, company, today):
        """Return the domain of those of them who can be met, as
        :func:`.measures.get_present_sql` says it in SQL.

        :param date today: whoever left on this day is gone
        """
        return self._get_people_domain(accounts, company) & (
            Domain("left_company_date", "=", False)
            | Domain("left_company_date", ">", today)
        )

    # -------------------------------------------------------------------------
    # Actions
    # -------------------------------------------------------------------------

    def action_view_buying_center(self):
        """Open the contacts of the account as a list, to place them without the map."""
        self._check_opens_account()
        account = self.commercial_partner_id
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_key_account.res_partner_action_buying_center"
        )
        action["domain"] = [
            ("commercial_partner_id", "=", account.id),
            ("type", "=", "contact"),
            ("is_company", "=", False),
        ]
        action["context"] = {
            "default_parent_id": account.id,
            "default_type": "contact",
            "default_is_company": False,
        }
        action["display_name"] = self.env._("Buying Centre: %s", account.display_name)
        return action

    @api.readonly
    def get_buying_center(self):
        """Return what the map of the buying centre shows, in the reader's language and
        with the reader's rights.

        A fixed number of queries, whatever the number of contacts. Coverage in percent,
        dates as ISO strings, the period in months.

        :return: a dict, see the widget ``key_account_buying_center``
        :raise AccessError: without the right to read customers, or outside sales
        """
        self.ensure_one()
        self.check_access("read")
        account = self.commercial_partner_id
        card = account._get_readable_account()
        tier = account.account_tier_id.sudo()
        months = tier.coverage_months or DEFAULT_MONTHS
        home = self.env.company._get_key_account_home()
        today = clock.get_today(home)
        contacts = self.search_fetch(
            self._get_people_domain(account, home),
            ["name", "function", "decision_level", "stance", "left_company_date"],
            order="name, id",
        )
        # Archived roles are no columns any more; contacts keep them.
        roles = self.env["key.account.buying.role"].search_fetch(Domain.TRUE, ["name"])
        cards = contacts._get_buying_center_cards(roles, months, today)
        levels = self._fields["decision_level"]._description_selection(self.env)
        # Those with own documents only see whom they met, not whom a colleague met:
        # better to say nothing than "never met".
        is_own = account._is_own_account()
        required = _get_required_cells(tier.cell_ids, cards) if is_own else []
        sponsor = account.executive_sponsor_id.sudo()
        return {
            "account": {"id": account.id, "name": account.display_name},
            "current_contact_id": self != account and self.id,
            "can_edit": account.has_access("write"),
            "is_own": is_own,
            "period_months": months,
            "coverage": card.coverage if card.required_count else False,
            "single_threaded": card.is_single_threaded,
            "contact_count": card.met_contact_count,
            "rep_count": card.met_user_count,
            "sponsor": bool(sponsor) and {"id": sponsor.id, "name": sponsor.name},
            "roles": [{"id": role.id, "name": role.name} for role in roles],
            "levels": [{"id": level, "name": name} for level, name in levels],
            "required": required,
            "contacts": cards,
        }

    def _get_buying_center_cards(self, roles, months, today):
        """Return the contacts as the map shows them.

        :param roles: the columns of the map
        :param int months: met within so many months until ``today`` is recently
        """
        stances = dict(self._fields["stance"]._description_selection(self.env))
        period = relativedelta(months=months)
        return [
            {
                "id": contact.id,
                "name": contact.name or contact.display_name,
                "function": contact.function or "",
                "role_ids": (contact.buying_role_ids & roles).ids,
                "level": contact.decision_level,
                "stance": contact.stance,
                "stance_name": stances.get(contact.stance, ""),
                "last_met": contact.last_met_date
                and fields.Date.to_string(contact.last_met_date),
                "is_recent": bool(contact.last_met_date)
                and contact.last_met_date <= today
                and contact.last_met_date + period > today,
                "has_left": bool(contact.left_company_date)
                and contact.left_company_date <= today,
            }
            for contact in self
        ]

    def move_in_buying_center(self, from_role_id, to_role_id, level):
        """Move a contact to another cell of the map; the other roles stay.

        :param from_role_id: the role of the column that it leaves, or False
        :param to_role_id: the role of the column it goes to, or False: take it off
        :param level: the decision level of the row, or False to leave it as it is
        :raise AccessError: without the right to write customers, or outside sales
        :raise UserError: if there is no such role or level
        """
        self.ensure_one()
        roles = self.env["key.account.buying.role"]
        bounds.to_record(roles, from_role_id)
        known = bounds.to_record(roles, to_role_id).exists()
        levels = self._fields["decision_level"].get_values(self.env)
        if bool(to_role_id) != bool(known) or (level and level not in levels):
            raise UserError(
                self.env._("This cell doesn't exist any more: reload the page.")
            )
        roles = self.buying_role_ids.ids
        if from_role_id and from_role_id != to_role_id:
            roles = [role for role in roles if role != from_role_id]
        if to_role_id and to_role_id not in roles:
            roles.append(to_role_id)
        vals = {"buying_role_ids": [fields.Command.set(roles)]}
        if level:
            vals["decision_level"] = level
        elif not roles:
            vals["decision_level"] = False
        self.write(vals)

    # -------------------------------------------------------------------------
    # Business
    # -------------------------------------------------------------------------

    def _enter_buying_center(self):
        """Keep accounts in step with new contacts that have a place in the map."""
        if not features.get_used(self.env, (features.BUYING_CENTER, features.EVIDENCE)):
            return
        placed = (
            self.filtered("parent_id")
            .sudo()
            .filtered(lambda contact: contact.stance or contact.buying_role_ids)
        )
        placed._refresh_buying_center(placed.commercial_partner_id)

    def _get_buying_centers(self, vals):
        """Return the accounts whose buying centres ``vals`` changes."""
        if CONTACT_FIELDS & vals.keys():
            return self.sudo().commercial_partner_id
        return self.browse()

    def _refresh_buying_center(self, accounts):
        """Keep coverage and ladder in step with changed contacts."""
        if accounts:
            self.env["key.account"].sudo()._refresh_relationships(accounts.ids)


def _get_required_cells(cells, contacts):
    """Return the required cells of the map, and whether somebody who was met recently
    covers them.

    :param cells: those of the tier
    :param list contacts: see :meth:`ResPartner._get_buying_center_cards`
    """
    required = []
    for cell in cells:
        level, role = cell.decision_level, cell.role_id.id
        required.append(
            {
                "role_id": role,
                "level": level,
                "covered": any(
                    contact["is_recent"]
                    and not contact["has_left"]
                    and (not level or contact["level"] == level)
                    and (not role or role in contact["role_ids"])
                    for contact in contacts
                ),
            }
        )
    return required
