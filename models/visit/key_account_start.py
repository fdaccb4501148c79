from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import RedirectWarning, UserError
from odoo.fields import Domain
from odoo.tools import format_list

from ...const import SENIORITY_NUMBERS
from ..account import clock, words

# What is empty until customers were tiered once
TIER_MODELS = {
    "key.account",
    "key.account.assignment",
    "key.account.gap",
    "key.account.proposal",
    "key.account.tier.change",
}
# And until visits were planned once
VISIT_MODELS = {
    "key.account.due",
    "key.account.effort.suggestion",
    "key.account.visit",
    "key.account.visit.figures",
}


class KeyAccountStart(models.AbstractModel):
    """The first hour of a company: four steps from the installation to the first
    planned week, and why a screen is empty until then.

    A step is done by what is there, not by who pressed what: nothing is stored but
    that somebody closed the panel. Whatever a night did by itself is done too.
    """

    _name = "key.account.start"
    _description = "First Steps"

    # -------------------------------------------------------------------------
    # What is there
    # -------------------------------------------------------------------------

    @api.model
    @api.readonly
    def get_state(self, model):
        """Return why a screen of ``model`` may be empty in the user's company, and who
        may do something about it.

        :return: a dict; ``state``: ``tiers``, nobody was tiered so far; ``off``, the
            company doesn't plan; ``nobody``, it has neither accounts nor visits;
            ``visits``, nothing was planned so far; False
        """
        self.env["key.account"].check_access("read")
        # whatever else a client sends is no screen of ours
        model = str(model)
        company = self.env.company._get_key_account_home().sudo()
        is_visits = model in VISIT_MODELS
        is_planning = company.key_account_planning
        is_planned = is_visits and is_planning and self._is_planned(company)
        if model not in TIER_MODELS | VISIT_MODELS:
            state = False
        elif not company.key_account_computed_at and not is_planned:
            state = "tiers"
        elif is_visits and not is_planning:
            state = "off"
        elif self._is_nobody(company):
            state = "nobody"
        else:
            state = is_visits and not is_planned and "visits"
        return {
            "state": state,
            "can_start": self._is_administrator() and self._is_home(),
            "can_set": self.env.user.has_group("base.group_system"),
        }

    @api.model
    @api.readonly
    def get_panel(self):
        """Return the steps of the user's company, a list of dicts; False: the panel was
        closed, all is done, or another company keeps the accounts.

        Whoever asks for them (``key_account_first_steps`` in the context) gets those
        that are done too."""
        self._check_administrator()
        company = self.env.company
        is_wanted = bool(self.env.context.get("key_account_first_steps"))
        if not self._is_home() or (
            company.sudo().key_account_start_closed and not is_wanted
        ):
            return False
        policy = self.env["key.account.policy"]._get_for_company(company).sudo()
        steps = [
            self._prepare_tiers(company, policy),
            self._prepare_cadence(company, policy),
            self._prepare_salespeople(company, policy),
            self._prepare_plan(company),
        ]
        return (is_wanted or not all(step["done"] for step in steps)) and steps

    @api.model
    def _prepare_tiers(self, company, policy):
        is_done = bool(policy and company.sudo().key_account_computed_at)
        if not is_done:
            text = self.env._(
                "Choose how customers are ranked, and preview your pyramid before "
                "anything is saved."
            )
        elif self._has_figures(company, policy):
            text = self._get_ranking_text(policy)
        else:
            # whoever doesn't invoice in Odoo: all are in the last tier
            is_done = False
            text = self.env._(
                "The figure of every account is zero: choose another metric or revenue "
                "basis."
            )
        return {
            "name": "tiers",
            "title": self.env._("How to Tier"),
            "text": text,
            "button": self.env._("Configure"),
            "action": "action_open_policy",
            "done": is_done,
        }

    @api.model
    def _has_figures(self, company, policy):
        """Return whether the metric of ``policy`` tells the accounts apart at all; also
        where there are none, or more counts than a metric."""
        if policy._get_method().figure:
            return True
        accounts = self.env["key.account"]
        home = Domain("company_id", "=", company.id)
        figures = Domain(policy.metric, ">", 0) | Domain(policy.metric, "<", 0)
        return bool(
            accounts.search_count(home & figures, limit=1)
            or not accounts.search_count(home, limit=1)
        )

    @api.model
    def _get_ranking_text(self, policy):
        """Return how ``policy`` ranks: its name may tell of another method."""
        method, metric = (
            dict(policy._fields[name]._description_selection(self.env))[policy[name]]
            for name in ("method", "metric")
        )
        ranks_by_metric = not policy._get_method().figure
        return words.join_facts(self.env, (method, ranks_by_metric and metric))

    @api.model
    def _prepare_cadence(self, company, policy):
        missing = policy._get_tiers_without_cadence(company) if policy else policy
        if missing:
            text = self.env._(
                "No line asks for visits to: %s.",
                format_list(self.env, missing.mapped("name")),
            )
        elif policy:
            lines = self.env["key.account.cadence"]._get_lines(company)
            text = words.join_clauses(
                self.env,
                (
                    words.join_named(
                        self.env, tier.name, lines._get_first(tier)._get_interval_text()
                    )
                    for tier in policy._get_tiers()
                ),
            )
        else:
            text = self.env._("Each tier has an interval of its own.")
        return {
            "name": "cadence",
            "title": self.env._("How Often to Visit"),
            "text": text,
            "button": self.env._("Configure"),
            # the policy has the button that copies the usual lines
            "action": "action_open_policy" if missing else "action_open_cadence",
            "done": bool(policy and not missing),
        }

    @api.model
    def _prepare_salespeople(self, company, policy):
        seniorities = self.env["crm.team.member"]._get_seniorities(company)
        users = self.env["res.users"].sudo().browse(seniorities)
        users = users.filtered(
            lambda user: user.active and not user.share and company in user.company_ids
        )
        seniorities = {user.id: seniorities[user.id] for user in users}
        best = max(map(SENIORITY_NUMBERS.get, seniorities.values()), default=0)
        tiers = policy._get_tiers() if policy else policy.tier_ids
        lacking = tiers.filtered(
            lambda tier: SENIORITY_NUMBERS.get(tier.min_seniority, 0) > best
        )
        if not seniorities:
            text = self.env._("Nobody is in a sales team.")
        elif lacking:
            text = self.env._(
                "Nobody has the seniority that is asked for at: %s.",
                format_list(self.env, lacking.mapped("name")),
            )
        else:
            text = self.env._("Salespeople: %s", len(seniorities))
        outside = seniorities and self._get_salespeople_outside(company, users)
        if outside:
            names = outside.mapped("name")
            # a step has room for a few
            named = format_list(self.env, names) if len(names) <= 5 else len(names)
            more = self.env._("In no sales team: %s.", named)
            join = words.join_said if lacking else words.join_sentences
            text = join(self.env, (text, more))
        return {
            "name": "salespeople",
            "title": self.env._("Who Visits"),
            "text": text,
            "button": self.env._("Configure"),
            "action": "action_open_salespeople",
            "done": bool(seniorities and not lacking),
        }

    @api.model
    def _get_salespeople_outside(self, company, users):
        """Return who has accounts and is in no sales team: they visit all the same, and
        the list of who visits doesn't show them."""
        accounts = self.env["key.account"]._search([("company_id", "=", company.id)])
        # whoever else is named by a customer makes no visits for the company
        return self.env["res.users"]._search_in_sales(
            Domain("id", "in", accounts.subselect("user_id"))
            & Domain("id", "not in", users.ids)
            & Domain("company_ids", "in", company.ids)
        )

    @api.model
    def _prepare_plan(self, company):
        count = self._count_planned(company)
        if count:
            text = self.env._("Planned visits: %s", count)
        elif company.sudo().key_account_computed_at and self._is_nobody(company):
            text = self._get_nobody_text(company)
        else:
            text = self.env._(
                "Tiers all customers and plans the visits that are due. From tomorrow "
                "on, this is done every night."
            )
        return {
            "name": "plan",
            "title": self.env._("Plan Visits"),
            "text": text,
            "button": self.env._("Plan Visits Now"),
            "action": "action_plan",
            "done": bool(count) and self._is_planned(company),
        }

    @api.model
    def _is_planned(self, company):
        """Return whether planning has looked at the accounts of ``company`` once: it
        leaves a visit, or says why there is none."""
        if not company.sudo().key_account_has_dues:
            return False
        home = ("company_id", "=", company.id)
        visits = self.env["key.account.visit"].sudo()
        if visits.search_count([home, ("cadence_id", "!=", False)], limit=1):
            return True
        dues = self.env["key.account.due"].sudo()
        waiting = [home, ("is_waiting", "=", True), ("reason", "=", False)]
        return not dues.search_count(waiting, limit=1)

    @api.model
    def _is_nobody(self, company):
        """Return whether ``company`` has nobody to tier or to visit: leads without a
        customer are visited and are no accounts."""
        home = [("company_id", "=", company.id)]
        models = ("key.account", "key.account.due", "key.account.visit")
        # sudo: accounts of others, too; only whether there is one is told
        return not any(
            self.env[model].sudo().search_count(home, limit=1) for model in models
        )

    @api.model
    def _get_nobody_text(self, company):
        return self.env._(
            "No customer of %s has an invoice, an order or a lead yet: there is "
            "nobody to visit.",
            company.name,
        )

    @api.model
    def _count_planned(self, company):
        return self.env["key.account.visit"].search_count(
            [("company_id", "=", company.id), ("state", "=", "planned")]
        )

    # -------------------------------------------------------------------------
    # Actions
    # -------------------------------------------------------------------------

    @api.model
    def action_close(self):
        """Close the panel for all administrators of the company."""
        self._check_administrator()
        # sudo: a setting of the company
        self.env.company.sudo().key_account_start_closed = True

    @api.model
    def action_open(self):
        """Show the accounts with the panel, also where it was closed or all is done.

        :raise UserError: if another company keeps the accounts
        """
        self._check_administrator()
        self._check_home()
        # sudo: a setting of the company
        self.env.company.sudo().key_account_start_closed = False
        action = self._get_action("key_account_action")
        # loaded anew: the list may be the one that is open
        action["target"] = "main"
        action["context"] = {"key_account_first_steps": True}
        return action

    @api.model
    def action_open_policy(self):
        """Open the policy in force, where a method is chosen and previewed; a new one
        where there is none."""
        self._check_administrator()
        company = self.env.company
        policy = self.env["key.account.policy"]._get_for_company(company)
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("How to Tier"),
            "res_model": "key.account.policy",
            "res_id": policy.id,
            "views": [[False, "form"]],
            "context": {"default_company_id": company.id, "key_account_start": True},
        }

    @api.model
    def action_open_cadence(self):
        self._check_administrator()
        return self._get_action("key_account_cadence_action")

    @api.model
    def action_open_salespeople(self):
        """List who visits for the company, to be edited."""
        self._check_administrator()
        action = self._get_action("crm_team_member_action_key_account")
        companies = self.env.company._get_key_account_team_ids()
        action["domain"] = [("crm_team_id.company_id", "in", companies)]
        team = self.env["crm.team"].search([("company_id", "in", companies)], limit=2)
        if len(team) == 1:
            # there is nothing to choose
            action["context"] = {"default_crm_team_id": team.id}
        return action

    @api.model
    def action_plan(self):
        """Tier and plan for the user's company now, and show the planned week.

        :raise UserError: if the company doesn't plan, another one keeps its accounts,
            or the nightly job is at work
        """
        self._check_administrator()
        self._check_home()
        company = self.env.company
        if not company.sudo().key_account_planning:
            self._raise_planning_is_off(company)
        visits = self.env["key.account.night"]._run_now(company)
        board = self._get_action("key_account_week_board_action")
        if visits:
            # the first planned week, which late in a week is the next one
            first = min(visits.mapped("date_planned"))
            # of all salespeople, on a phone too
            board["params"] = {"date": fields.Date.to_string(first), "is_team": True}
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success" if visits else "warning",
                "sticky": not visits,
                "message": self._get_planned_text(company, len(visits)),
                "next": board
                if visits
                else {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    def _raise_planning_is_off(self, company):
        message = self.env._(
            "No visits are planned in %s: switch on Plan Visits Automatically in the "
            "settings.",
            company.name,
        )
        if not self.env.user.has_group("base.group_system"):
            raise UserError(message)
        settings = self.env.ref("crm.crm_config_settings_action")
        raise RedirectWarning(message, settings.id, self.env._("Settings"))

    @api.model
    def _get_planned_text(self, company, count):
        """Return what came of a planning, in words."""
        days = timedelta(days=company.sudo().key_account_horizon_days)
        last = clock.get_today(company, self.env.user) + days
        until = clock.format_day(self.env, last)
        waiting = self.env["key.account.due"].search_count(
            [("company_id", "=", company.id), ("is_waiting", "=", True)]
        )
        accounts = self.env["key.account"].search_count(
            [("company_id", "=", company.id), ("tier_id", "!=", False)], limit=1
        )
        if not accounts:
            return self._get_nobody_text(company)
        if count:
            text = self.env._(
                "Visits planned until %(date)s: %(count)s.",
                count=count,
                date=until,
            )
        else:
            text = self.env._(
                "No further visit is due until %(date)s. Planned visits: %(count)s.",
                count=self._count_planned(company),
                date=until,
            )
        if waiting:
            more = self.env._("Due and waiting in the backlog: %s.", waiting)
            text = words.join_said(self.env, (text, more))
        return text

    @api.model
    def _get_action(self, name):
        return self.env["ir.actions.actions"]._for_xml_id(f"crm_key_account.{name}")

    # -------------------------------------------------------------------------
    # Rights
    # -------------------------------------------------------------------------

    @api.model
    def _is_administrator(self):
        return self.env["key.account.policy"].has_access("write")

    @api.model
    def _check_administrator(self):
        self.env["key.account.policy"].check_access("write")

    @api.model
    def _check_home(self):
        company = self.env.company
        home = company._get_key_account_home()
        if home != company:
            raise UserError(
                self.env._(
                    "The accounts of %(company)s are kept in %(home)s: change to that "
                    "company to plan.",
                    company=company.name,
                    # sudo: the user need not work there
                    home=home.sudo().name,
                )
            )

    @api.model
    def _is_home(self):
        company = self.env.company
        return company._get_key_account_home() == company
