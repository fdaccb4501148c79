"""What this addon changes of core for everybody's partners, leads, users, activities
and meetings.

Each model's ``create``, ``write`` and ``unlink`` stand here, once: check, super, then
the steps of the rooms, in this order. Nothing of ours runs on an empty set. What they
rely on is tested by ``tests/test_core_overrides.py``.
"""

from itertools import chain

from odoo import api, fields, models
from odoo.fields import Domain

from odoo.addons.mail.tools.discuss import Store

from ..account import bounds, features
from ..account.crm_lead import FOLLOWING_FIELDS, NAMED_FIELDS
from ..account.hidden import search_shown
from ..account.key_account import TIER_DECISIONS
from ..account.key_account_shown import sorted_selections
from ..account.res_partner import GUARDED_FIELDS
from ..planning.res_users import SALES_FIELDS
from ..relationship.res_partner import SWITCHED

# Set by the addon alone: they decide who reads an activity.
LINK_FIELDS = {"key_account_company_id", "key_account_role", "key_account_visit_id"}
DEFAULTS = {f"default_{name}" for name in LINK_FIELDS}
# What decides who is in a group.
MEMBER_FIELDS = {"implied_by_ids", "implied_ids", "user_ids"}
# What decides on which day a meeting is.
TIME_FIELDS = {"allday", "duration", "start", "start_date", "stop", "stop_date"}
# Groups come in the order of these selections, not by the alphabet.
LEVEL_FIELDS = {
    "account_accessibility",
    "account_buying_process",
    "account_competition",
    "account_quality_standards",
    "account_value_type",
    "decision_level",
    "engagement_stage",
    "relationship_level",
    "stance",
}


class KeyAccountActivityMixin(models.AbstractModel):
    """Customers and leads: their activities tell of visits. Core searches, groups and
    reads activities past the record rule that hides them; see :meth:`_check_access` of
    activities for handling them."""

    _name = "key.account.activity.mixin"
    _inherit = ["key.account.named", "mail.activity.mixin"]
    _description = "Customer or Lead with Activities of Visits"

    activity_ids = fields.One2many(
        bypass_search_access=False, search="_search_activity_ids"
    )
    activity_summary = fields.Char(related_sudo=False)
    activity_type_id = fields.Many2one(related_sudo=False)
    activity_type_icon = fields.Char(related_sudo=False)

    def _search_activity_ids(self, operator, value):
        """Whether there is an activity, core asks as superuser."""
        if self._is_every_activity_shown():
            return Domain("activity_ids", operator, value)
        return search_shown("activity_ids", operator, value)

    def _search_activity_state(self, operator, value):
        """Core's statement counts activities that the user may not read."""
        if operator not in ("in", "not in") or self._is_every_activity_shown():
            return super()._search_activity_state(operator, value)
        return self._get_activity_state_domain(operator, value)

    def _read_group_orderby(self, order, groupby_terms, query):
        """Levels come from the lowest on."""
        with sorted_selections(self, groupby_terms, LEVEL_FIELDS) as terms:
            return super()._read_group_orderby(order, terms, query)

    def _read_group_groupby(self, alias, groupby_spec, query):
        """Core's statement counts activities that the user may not read."""
        if groupby_spec != "activity_state" or self._is_every_activity_shown():
            return super()._read_group_groupby(alias, groupby_spec, query)
        return self._get_activity_state_sql(alias, query)


class ResPartner(models.Model):
    _name = "res.partner"
    _inherit = ["key.account.activity.mixin", "res.partner"]

    @api.model
    def fields_get(self, allfields=None, attributes=None):
        """Nobody searches, groups or exports by what the company doesn't use."""
        return features.hide(
            self.env, super().fields_get(allfields, attributes), SWITCHED
        )

    @api.model
    def default_get(self, fields):
        """Whoever doesn't know a decision makes none by a default: core would refuse
        the whole customer."""
        hidden = self._get_hidden_decisions()
        return super().default_get([name for name in fields if name not in hidden])

    @api.model_create_multi
    def create(self, vals_list):
        """Decisions go to the account, past core: it hides the fields of an inverse
        method from all that follows from it."""
        if not vals_list:
            return super().create(vals_list)
        decided_list = self._take_new_decisions(vals_list)
        bounds.check_values(self, decided_list)
        named = [self._leave_decisions(vals) for vals in vals_list]
        partners = super(ResPartner, self._forget_hidden_defaults()).create(named)
        partners = partners.with_env(self.env)
        decided = dict(zip(partners, decided_list, strict=True))
        for partner, values in decided.items():
            # a contact's form says what its account says
            partner._check_decisions(partner._get_said(values))
        self._write_decisions(decided)
        partners._enter_buying_center()
        return partners

    def write(self, vals):
        """Core archives without a word to activities: visits are closed, while their
        customer is still active."""
        if not self:
            return super().write(vals)
        decided = self._take_decisions(vals)
        rest = self._leave_decisions(vals)
        # Whoever stops being a contact decides as what it becomes.
        becomes = not {"parent_id", "is_company"}.isdisjoint(vals)
        if not becomes:
            self._check_decisions(decided)
        if "user_id" in vals:
            self._check_can_take_accounts(vals["user_id"])
        if vals.get("active") is False:
            self.env["key.account.visit.follow"].sudo()._close_for_partners(
                self, self.env._("Customer archived")
            )
        previous_users = self._get_previous_users(vals)
        centers = self._get_buying_centers(vals)
        accounts = others = self.browse()
        if becomes:
            accounts = self.filtered(lambda p: p == p.commercial_partner_id)
            others = accounts._filter_others_accounts()
            self.env["key.account"]._touch(self)
        res = super().write(rest) if rest or not decided else True
        if becomes:
            self._check_decisions(decided)
            others._check_still_accounts()
        self._write_decisions(dict.fromkeys(self, decided))
        self._follow_salesperson(previous_users)
        if vals.get("company_id"):
            self.env["key.account.visit.follow"].sudo()._close_for_partners(
                self,
                self.env._("Customer moved to another company"),
                [("company_id", "!=", self._get_new_key_account_home(vals).id)],
            )
        if becomes:
            self._forget_key_accounts()
            accounts.sudo()._become_contacts()
        if vals.get("parent_id") or vals.get("is_company") is not None:
            self._follow_commercial_entity()
        self._refresh_buying_center(centers | self._get_buying_centers(vals))
        self._refresh_key_account_dues(vals)
        if "tz" in vals:
            self._follow_time_zone()
        return res

    @api.model
    def load(self, fields, data):
        return super().load(*self._lock_imported_tiers(fields, data))

    @api.ondelete(at_uninstall=False)
    def _unlink_except_visited(self):
        """The database deletes visits along with their customer: refused before."""
        self._check_not_met()
        self._check_not_visited()

    def unlink(self):
        if not self:
            return super().unlink()
        accounts = self.sudo().commercial_partner_id - self
        res = super().unlink()
        self._forget_key_accounts()
        self.env["key.account"].sudo()._refresh_relationships(accounts.exists().ids)
        return res

    def _check_decisions(self, decided):
        """Refuse decisions that the user may not write.

        :param dict decided: values of the customers' fields
        :raise AccessError: for want of rights
        :raise ValidationError: if one of the customers is a contact
        """
        if not decided:
            return
        bounds.check_values(self, [decided])
        self.check_access("write")
        for name in decided:
            self._check_field_access(self._fields[name], "write")
        if TIER_DECISIONS & decided.keys():
            self._check_can_set_tier()
        if "key_account_is_excluded" in decided:
            self._check_can_exclude()
        if GUARDED_FIELDS & decided.keys():
            self._check_own_account()
        self._check_decided_on_accounts()
        if "key_account_group_id" in decided:
            self._check_can_choose_group(decided["key_account_group_id"])
        if "relationship_level" in decided:
            self._check_can_set_level(decided["relationship_level"])

    def _become_contacts(self):
        """End what was decided about accounts that are contacts now: whoever they
        belong to decides for them."""
        contacts = self.filtered(lambda p: p != p.commercial_partner_id)
        if contacts:
            contacts._move_relationship_to_account()
            contacts._reject_tier_changes(self.env._("Now a contact"))
            contacts._take_back_decisions()


class MergePartnerAutomatic(models.TransientModel):
    _inherit = "base.partner.merge.automatic.wizard"

    def _merge(self, partner_ids, dst_partner=None, extra_checks=True):
        """Settle what both partners can't keep, before the merge redirects everything
        else: on a violated unique index core deletes *all* rows of the partner that
        goes, done visits included."""
        partners = self.env["res.partner"].browse(partner_ids).exists()
        partners._check_can_take_accounts()
        target = dst_partner or self._get_ordered_partner(partner_ids)[-1:]
        inherited = self.env["key.account"].sudo()
        if target in partners:
            merged = (partners - target).sudo()
            inherited = merged._prepare_key_account_merge(target.sudo())
        accounts = partners.sudo().commercial_partner_id
        own_ids = self.env["res.company"]._get_key_account_own_ids()
        res = super()._merge(partner_ids, dst_partner, extra_checks)
        if own_ids & set(partners.ids):
            # one of our companies is another partner now, past the ORM
            self.env.registry.clear_cache()
        target = target.exists()
        if account := target.commercial_partner_id:
            account.sudo()._follow_merge(accounts.exists(), inherited.exists())
            # accounts may have been merged into a contact
            target.sudo()._become_contacts()
        return res


class CrmLead(models.Model):
    _name = "crm.lead"
    _inherit = ["key.account.activity.mixin", "crm.lead"]

    @api.model
    def fields_get(self, allfields=None, attributes=None):
        """See the one of customers."""
        return features.hide(
            self.env,
            super().fields_get(allfields, attributes),
            {features.EVIDENCE: {"relationship_level"}},
        )

    @api.model
    def default_get(self, fields):
        """Nobody sets by a default what follows from elsewhere."""
        names = [name for name in fields if name not in FOLLOWING_FIELDS]
        defaults = super().default_get(names)
        self.browse()._check_named([defaults])
        return defaults

    def onchange(self, values, field_names, fields_spec):
        """Tier and level are computed as superuser, also on a form."""
        self._check_named([values])
        if not self:
            self.default_get(list(NAMED_FIELDS))
        return super().onchange(values, field_names, fields_spec)

    @api.model_create_multi
    def create(self, vals_list):
        if not vals_list:
            return super().create(vals_list)
        for vals in vals_list:
            self._check_following_fields(vals)
        self.browse()._check_named(vals_list)
        leads = super().create(vals_list)
        leads.filtered(lambda lead: not lead.partner_id)._refresh_key_account_dues()
        return leads

    def write(self, vals):
        """Core archives without a word to activities: visits are closed, while their
        lead is still active."""
        if not self:
            return super().write(vals)
        self._check_following_fields(vals)
        self._check_named([vals])
        follow = self.env["key.account.visit.follow"].sudo()
        if vals.get("active") is False:
            follow._close_for_leads(self, self.env._("Lead archived"))
        previous_users = self._get_previous_users(vals)
        moved = self._filter_to_other_company(vals)
        due = self._filter_due(vals)
        left = self._filter_to_change(vals, "partner_id")
        to_company = self._filter_to_change(vals, "company_id")
        self.env["key.account"]._touch(left.partner_id)
        res = super().write(vals)
        if vals.get("partner_id"):
            follow._follow_lead_customer(left._filter_visited())
        if vals.get("company_id"):
            follow._follow_lead_company(to_company._filter_visited())
        moved._follow_company()
        self._follow_salesperson(previous_users)
        if {"stage_id", "probability"} & vals.keys():
            follow._close_for_leads(
                self.filtered(lambda lead: lead.won_status == "won"),
                self.env._("Lead won"),
            )
        (due | moved | self._filter_due(vals))._refresh_key_account_dues()
        return res

    @api.ondelete(at_uninstall=False)
    def _unlink_except_visited(self):
        """The database deletes visits along with their lead: customers keep theirs."""
        self.env["key.account"]._touch(self.partner_id)
        self._release_visits()

    def action_set_lost(self, **additional_values):
        """Core archives the leads first: the reason to close visits is another."""
        if self:
            self.env["key.account.visit.follow"].sudo()._close_for_leads(
                self, self.env._("Lead lost")
            )
        return super().action_set_lost(**additional_values)

    def _handle_salesmen_assignment(self, user_ids=False, team_id=False):
        """Core gives each salesperson a part of the leads."""
        with self._changing_one_by_one():
            return super()._handle_salesmen_assignment(
                user_ids=user_ids, team_id=team_id
            )

    def _merge_dependences(self, opportunities):
        """Core asks here for what the remaining lead takes over, before it deletes the
        others, and their visits and due dates with them."""
        merged = self | opportunities
        if merged._filter_visited() or merged._filter_awaited():
            dues = self.env["key.account.due"].sudo()
            dues._merge(opportunities, self)
            follow = self.env["key.account.visit.follow"].sudo()
            follow._merge_leads(self, opportunities)
            self._forget_key_account_records()
        res = super()._merge_dependences(opportunities)
        self._refresh_key_account_dues()
        return res


class CrmTeam(models.Model):
    _inherit = "crm.team"

    def _action_assign_leads(self, force_quota=False, creation_delta_days=7):
        """Core gives leads to teams and salespersons one by one."""
        with self.env["crm.lead"]._changing_one_by_one():
            return super()._action_assign_leads(
                force_quota=force_quota, creation_delta_days=creation_delta_days
            )

    def _allocate_leads_deduplicate(self, leads, duplicates_cache=None):
        """Core merges the duplicates of one lead after the other's: what hangs on them
        is asked for all of them at once."""
        for lead in leads:
            ids = (dup._ids for dup in (duplicates_cache or {}).values())
            lead.with_prefetch(chain.from_iterable(ids))._filter_visited()
        return super()._allocate_leads_deduplicate(
            leads, duplicates_cache=duplicates_cache
        )


class CrmLead2opportunityPartner(models.TransientModel):
    _inherit = "crm.lead2opportunity.partner"

    def _convert_and_allocate(self, leads, user_ids, team_id=False):
        """Core converts and gives leads to salespersons one by one."""
        with self.env["crm.lead"]._changing_one_by_one():
            return super()._convert_and_allocate(leads, user_ids, team_id=team_id)


class ResUsers(models.Model):
    _name = "res.users"
    _inherit = ["key.account.named", "res.users"]

    def write(self, vals):
        if not self:
            return super().write(vals)
        if not SALES_FIELDS & vals.keys():
            return super().write(vals)
        before = self._get_sales_companies()
        res = super().write(vals)
        self._follow_sales_companies(before)
        return res

    def action_archive(self):
        """Core deletes the users' activities, and only then archives: archived, and so
        handed over, before."""
        self.filtered("active").write({"active": False})
        return super().action_archive()

    def unlink(self):
        """The database deletes activities along with their user: handed over before."""
        if active := self.filtered("active"):
            active.write({"active": False})
        return super().unlink()


class ResGroups(models.Model):
    _inherit = "res.groups"

    def write(self, vals):
        """The other door to the rights of users."""
        if not self or not MEMBER_FIELDS & vals.keys():
            return super().write(vals)
        users = self.env["res.users"]._search_in_sales()
        before = users._get_sales_companies()
        res = super().write(vals)
        (users | users._search_in_sales())._follow_sales_companies(before)
        return res


class MailActivity(models.Model):
    """Done is archived and cancelled is deleted, wherever Odoo lets people handle
    activities: all of it ends in ``write`` or ``unlink``."""

    _name = "mail.activity"
    _inherit = ["key.account.named", "mail.activity"]

    @api.model
    def default_get(self, fields):
        """Nobody links an activity by a default, also by one that users keep."""
        return super().default_get([name for name in fields if name not in LINK_FIELDS])

    @api.model_create_multi
    def create(self, vals_list):
        if not self.env.su:
            # a client's context may hold a default: taken out, not set to nothing, as
            # who is outside sales may not write these fields
            context = self.env.context
            kept = {key: val for key, val in context.items() if key not in DEFAULTS}
            self = self.with_env(self.env(context=kept))
            vals_list = [
                {key: val for key, val in vals.items() if key not in LINK_FIELDS}
                for vals in vals_list
            ]
        activities = super().create(vals_list)
        if not all(vals.get("key_account_role") for vals in vals_list):
            activities._become_visits()
        return activities

    def write(self, vals):
        if not self.env.su:
            vals = {key: val for key, val in vals.items() if key not in LINK_FIELDS}
            if vals.get("user_id"):
                self._check_can_be_given(vals)
            if {"res_id", "res_model", "res_model_id"} & vals.keys():
                self._check_stays(vals)
        visits = self.browse()
        is_followed = {"active", "date_deadline", "user_id", "feedback"} & vals.keys()
        if is_followed:
            visits = self._filter_key_account_role("visit")
        if visits and "date_deadline" in vals:
            # The visits move their meetings themselves, where their salespersons are.
            if others := self - visits:
                others.write(vals)
            self = visits.with_context(calendar_event_meeting_update=True)
        res = super().write(vals)
        if is_followed:
            self._carry_to_visits(visits, vals)
        if "activity_type_id" in vals:
            self._become_visits()
        return res

    def unlink(self):
        visits, commitments = self._get_followed()
        res = super().unlink()
        if visits:
            visits._cancel_from_activities()
        if commitments:
            commitments._drop_from_activities()
        return res

    def unlink_w_meeting(self):
        self.check_access("unlink")
        # the visits take their meetings along
        self._filter_key_account_role("visit").sudo().calendar_event_id = False
        return super().unlink_w_meeting()

    def _action_done(self, feedback=False, attachment_ids=None):
        # Core posts summary and note on the customer, and the feedback on the meeting,
        # where everybody reads them: they stay with the visit.
        self.sudo().filtered("key_account_role")._write_quietly(
            {"summary": False, "note": False, "calendar_event_id": False}
        )
        return super()._action_done(feedback=feedback, attachment_ids=attachment_ids)

    def _check_access(self, operation):
        """Core lets whoever may write the customer write its activities. Those of a
        visit are handled by whoever is to do them, or may write the visit."""
        result = super()._check_access(operation)
        if operation not in ("write", "unlink"):
            return result
        allowed = self - result[0] if result else self
        refused = allowed._filter_others_visits()
        if not refused:
            return result
        if not result:
            return refused, lambda: refused._make_access_error(operation)
        return (result[0] | refused, result[1])

    def _filter_others_visits(self):
        """Return the activities of visits that aren't the user's to handle: those that
        the record rule hides, and those that somebody else is to do about a visit that
        the user may not write."""
        # sudo: what an activity is to a visit isn't for everybody
        flagged = self.sudo().filtered("key_account_role").sudo(self.env.su)
        if not flagged:
            return flagged
        hidden = flagged._check_access("read")
        hidden = hidden[0] if hidden else flagged.browse()
        others = (
            (flagged - hidden)
            .sudo()
            .filtered(lambda activity: activity.user_id != self.env.user)
        )
        visits = others.key_account_visit_id.sudo(self.env.su)
        writable = visits._filtered_access("write").ids
        return hidden | others.filtered(
            lambda activity: (
                activity.key_account_visit_id
                and activity.key_account_visit_id.id not in writable
            )
        ).sudo(self.env.su)

    def _to_store_defaults(self, target):
        return [
            *super()._to_store_defaults(target),
            Store.Attr("can_report_key_account_visit"),
        ]


class CalendarEvent(models.Model):
    _name = "calendar.event"
    _inherit = ["key.account.named", "calendar.event"]

    @api.model_create_multi
    def create(self, vals_list):
        events = super().create(vals_list)
        # scheduled from the activity, with Odoo's own button
        activities = events.sudo().activity_ids._filter_key_account_role("visit")
        activities._get_key_account_visits()._adopt_meetings()
        return events

    def write(self, vals):
        # core takes some out
        keys = set(vals)
        if vals.get("active") is False:
            self._free_key_account_visits()
        # core archives the series and makes another one
        base, moments = self._remember_series(vals)
        res = super().write(vals)
        if keys & TIME_FIELDS:
            self._get_key_account_visits()._write_from_meetings()
        (self | base)._follow_series(moments)
        return res

    def unlink(self):
        self._free_key_account_visits()
        return super().unlink()

    def _sync_activities(self, fields):
        # Core would put the meeting's name over the reason of the visit, and work out
        # the day in the time zone of whoever moves the meeting: ours stand aside.
        own = self.sudo().activity_ids.filtered("key_account_role")
        events = {activity: activity.calendar_event_id for activity in own}
        own._write_quietly({"calendar_event_id": False})
        res = super()._sync_activities(fields)
        for activity, event in events.items():
            activity._write_quietly({"calendar_event_id": event.id})
        return res


class CalendarRecurrence(models.Model):
    _inherit = "calendar.recurrence"

    def _apply_recurrence(
        self,
        specific_values_creation=None,
        no_send_edit=False,
        generic_values_creation=None,
    ):
        """Core takes a meeting out of its series where the rule has none on that day:
        its visit takes the nearest one."""
        detached = super()._apply_recurrence(
            specific_values_creation=specific_values_creation,
            no_send_edit=no_send_edit,
            generic_values_creation=generic_values_creation,
        )
        visits = detached._get_key_account_visits()
        moments = {visit: visit.calendar_event_id.start for visit in visits}
        if moments:
            detached._free_key_account_visits()
            self.calendar_event_ids._follow_series(moments)
        return detached


class MailThread(models.AbstractModel):
    """Documents with followers."""

    _inherit = "mail.thread"

    @api.model
    def _search_message_partner_ids(self, operator, operand):
        """Core asks as superuser who follows: a path would tell of every follower what
        sales alone may know, or who serves the customer."""
        if operator == "any" and isinstance(operand, Domain) and not self.env.su:
            partners = self.env["res.partner"]._search(operand, active_test=False)
            operator, operand = "in", partners
        return super()._search_message_partner_ids(operator, operand)
