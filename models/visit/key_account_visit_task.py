from datetime import timedelta

from odoo import api, models
from odoo.fields import Domain

from ...const import CALL_MODES
from ...engine import cadence as engine
from ..account import clock, words

# For visits that no cadence line asked for.
FOLLOW_UP_DAYS = 2


class KeyAccountVisitTask(models.AbstractModel):
    """What follows from visits: to thank and recap, to help, to know what a colleague
    promised. Activities like any other, private like the visits."""

    _name = "key.account.visit.task"
    _description = "What Follows from Visits"

    # -------------------------------------------------------------------------
    # Follow-ups
    # -------------------------------------------------------------------------

    @api.model
    def _get_follow_up_days(self, visits):
        """Return {visit id: day to follow up}: the cadence's working days of the
        salesperson after the visit, not before today. False: no follow-up."""
        days = {}
        for company, group in visits.grouped("company_id").items():
            start = min(visit.date_done or visit._get_today() for visit in group)
            end = max(visit.date_done or visit._get_today() for visit in group)
            working_days = self.env["key.account.agenda"]._get_working_days(
                group.user_id,
                company,
                start,
                end + timedelta(days=engine.MAX_SEARCH_DAYS),
            )
            for visit in group:
                count = FOLLOW_UP_DAYS
                if visit.cadence_id:
                    count = visit.cadence_id.follow_up_days
                today = visit._get_today()
                day = visit.date_done or today
                following = sorted(
                    other for other in working_days[visit.user_id.id] if other > day
                )
                # Away for all of the search: no working day would come
                after = (
                    following[count - 1]
                    if 0 < count <= len(following)
                    else day + timedelta(days=count)
                )
                days[visit.id] = count > 0 and max(after, today)
        return days

    @api.model
    def _create_follow_ups(self, visits):
        """Remind the salespersons to thank and recap. Calls and mails need none, nor
        does a visit at which nobody was there."""
        visits = visits.sudo().filtered(
            lambda visit: (
                visit.state == "done"
                and visit.track in ("visit", "executive")
                and visit.mode not in CALL_MODES
                and not visit.is_nobody_met
                and visit.user_id.active
                and (not visit.partner_id or visit.partner_id.active)
                and not visit.follow_up_activity_id
            )
        )
        if not visits:
            return
        days = self._get_follow_up_days(visits)
        visits = visits.filtered(lambda visit: days[visit.id])
        # not ref: it would ask the database whether the type exists
        find = self.env["ir.model.data"]._xmlid_to_res_id
        activity_type_id = find("mail.mail_activity_data_call") or find(
            "mail.mail_activity_data_todo", raise_if_not_found=True
        )
        self.env["mail.activity"]._create_for_visits(
            "follow_up",
            [
                {
                    "document": visit._get_document(),
                    "company": visit.company_id,
                    "key_account_visit_id": visit.id,
                    "activity_type_id": activity_type_id,
                    "summary": visit.with_context(
                        lang=visit.user_id.lang or self.env.lang
                    ).env._("Thank and recap: %s", visit.name),
                    "date_deadline": days[visit.id],
                    "user_id": visit.user_id.id,
                }
                for visit in visits
            ],
        )

    @api.model
    def _unlink_follow_ups(self, visits):
        """Take back what a visit that didn't take place asked for."""
        activities = visits.sudo().follow_up_activity_id
        open_ = activities.filtered("active")
        # what is done stays, but another visit asks for another one
        (activities - open_).key_account_visit_id = False
        open_.unlink()

    # -------------------------------------------------------------------------
    # Support
    # -------------------------------------------------------------------------

    @api.model
    def _follow_support(self, visits, vals):
        """Do with the activities for support what was corrected in reports."""
        for visit in visits:
            activity = visit.support_activity_id.filtered("active")
            if activity and not visit.is_manager_needed:
                activity.unlink()
            elif activity and "support_needed" in vals:
                activity.summary = self._get_support_summary(visit, activity.user_id)
        self._notify_managers(visits)

    @api.model
    def _notify_managers(self, visits):
        """Tell the leader of the sales team, or whoever stands in, once, that support
        is needed.

        :return: the visits of which nobody could be told
        """
        visits = visits.filtered(
            lambda visit: visit.is_manager_needed and not visit.support_activity_id
        )
        vals_list = []
        noted = visits.browse()
        todo = self.env.ref("mail.mail_activity_data_todo")
        for visit, user in self._get_support_users(visits, self.env.user).items():
            if not user:
                continue
            noted |= visit
            vals_list.append(
                {
                    "document": visit._get_document(),
                    "company": visit.company_id,
                    "key_account_visit_id": visit.id,
                    "activity_type_id": todo.id,
                    "summary": self._get_support_summary(visit, user),
                    "date_deadline": clock.get_today(visit.company_id, user),
                    "user_id": user.id,
                }
            )
        self.env["mail.activity"]._create_for_visits("support", vals_list)
        return visits - noted

    @api.model
    def _get_support_summary(self, visit, user):
        return self.with_context(lang=user.lang or self.env.lang).env._(
            "Support needed: %s", visit.support_needed or visit.name
        )

    @api.model
    def _get_support_users(self, visits, asking):
        """Return {visit: who is to help}: the leader of the team; where there is none,
        or it is the leader who asks, a sales administrator of the company."""
        result = {}
        administrators = self.env.ref("sales_team.group_sale_manager")
        for company, group in visits.grouped("company_id").items():
            teams = self.env["crm.team.member"]._get_user_teams(company, group.user_id)
            others = self.env["res.users"].search(
                [
                    ("all_group_ids", "in", administrators.ids),
                    ("company_ids", "in", company.ids),
                    ("share", "=", False),
                    ("id", "!=", asking.id),
                ],
                order="id",
                limit=1,
            )
            no_team = self.env["crm.team"]
            leaders = {
                visit: (visit.team_id or teams.get(visit.user_id.id, no_team)).user_id
                for visit in group
            }
            companies = others.union(*leaders.values())._get_sales_companies()
            for visit, leader in leaders.items():
                can_help = company in companies.get(leader, ()) and leader != asking
                result[visit] = leader if can_help else others
        return result

    # -------------------------------------------------------------------------
    # Promises of colleagues
    # -------------------------------------------------------------------------

    @api.model
    def _tell_of_promises(self, users):
        """Tell salespersons what colleagues promised at their customers': they decide
        whether to move the next visit. One activity per report, which follows what is
        corrected there.

        :param users: {visit: salesperson of the next visit}
        """
        todo = self.env.ref("mail.mail_activity_data_todo")
        vals_list = []
        for visit, user in users.items():
            activity = visit.promise_activity_id.filtered("active")
            summary = self._get_promise_summary(visit, user)
            if activity and summary:
                activity.summary = summary
            elif activity:
                activity.unlink()
            elif summary and user.active:
                vals_list.append(
                    {
                        "document": visit._get_document(),
                        "company": visit.company_id,
                        "key_account_visit_id": visit.id,
                        "activity_type_id": todo.id,
                        "summary": summary,
                        "date_deadline": clock.get_today(visit.company_id, user),
                        "user_id": user.id,
                    }
                )
        self.env["mail.activity"]._create_for_visits("promise", vals_list)

    @api.model
    def _get_promise_summary(self, visit, user):
        """Return what was promised, in the language of ``user``, or nothing."""
        visit = visit.with_context(lang=user.lang or self.env.lang)
        day = visit.next_date
        promise = [
            day
            and day >= visit._get_today()
            and clock.format_day(visit.env, day, weekday=True),
            visit.next_theme,
        ]
        if not any(promise):
            return ""
        return visit.env._(
            "%(colleague)s promised %(customer)s a visit: %(promise)s",
            colleague=visit.user_id.name,
            customer=visit.name,
            promise=words.join_clauses(visit.env, promise),
        )

    # -------------------------------------------------------------------------
    # Hand-over
    # -------------------------------------------------------------------------

    @api.model
    def _hand_over_lost_tasks(self, users):
        """Give on what users who aren't in the company's sales any more promised or
        were to do after visits."""
        companies = users._get_sales_companies()

        def is_lost(user, company):
            return company not in companies[user]

        commitments = self.env["key.account.commitment"].search(
            [("user_id", "in", users.ids), ("state", "=", "open")]
        )
        commitments.filtered(
            lambda commitment: is_lost(commitment.user_id, commitment.company_id)
        )._assign_responsibles()
        tasks = self.env["mail.activity"].search(
            [
                ("user_id", "in", users.ids),
                ("key_account_role", "in", ["follow_up", "support"]),
                ("key_account_visit_id", "!=", False),
            ]
        )
        tasks = tasks.filtered(
            lambda task: is_lost(task.user_id, task.key_account_visit_id.company_id)
        )
        by_role = tasks.grouped("key_account_role")
        for role, lost in by_role.items():
            visits = lost.key_account_visit_id
            if role == "follow_up":
                self._assign_follow_ups(visits)
                continue
            for asking, group in visits.grouped("user_id").items():
                for visit, user in self._get_support_users(group, asking).items():
                    self._assign_tasks(visit.support_activity_id, user.id)

    @api.model
    def _hand_over_tasks(self, records, column, previous_users):
        """Give what the former salesperson of ``records`` promised there, and was to do
        after visits, to the new one; also what went to somebody else or nobody when the
        former one left.

        :param records: customers, or leads without a customer
        :param column: the column of visits that names them
        :param dict previous_users: id of the salesperson before, per record id
        """
        domain = Domain(column, "in", records.ids)
        if column == "lead_id":
            domain &= Domain("partner_id", "=", False)
        users = self.env["res.users"].browse(set(previous_users.values()) - {False})
        companies = users._get_sales_companies()

        def is_former(visit, user):
            previous = users.browse(previous_users[visit[column].id] or ())
            left = previous and visit.company_id not in companies[previous]
            return user in (previous, users.browse()) or (
                left and visit.user_id == previous
            )

        commitments = self.env["key.account.commitment"].search(
            domain & Domain("state", "=", "open")
        )
        commitments.filtered(
            lambda commitment: is_former(commitment.visit_id, commitment.user_id)
        )._assign_responsibles()
        tasks = self.env["mail.activity"].search(
            Domain("key_account_role", "=", "follow_up")
            & Domain("key_account_visit_id", "any", domain)
        )
        self._assign_follow_ups(
            tasks.filtered(
                lambda task: is_former(task.key_account_visit_id, task.user_id)
            ).key_account_visit_id
        )

    @api.model
    def _assign_follow_ups(self, visits):
        """Give the follow-ups of the visits to whoever is responsible now."""
        groups = self.env["key.account.visit.follow"]._group_by_responsible(visits)
        for (user_id, _team_id), group in groups.items():
            self._assign_tasks(group.follow_up_activity_id, user_id)

    @api.model
    def _assign_tasks(self, activities, user_id):
        activities.filtered("active")._write_quietly({"user_id": user_id})
