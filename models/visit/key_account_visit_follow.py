from collections import defaultdict

from odoo import api, models
from odoo.fields import Domain

from ..account import clock, features


class KeyAccountVisitFollow(models.AbstractModel):
    """Visits follow their customers, leads, contacts and salespersons when these
    change. Called as superuser: whoever changes them changes what follows."""

    _name = "key.account.visit.follow"
    _description = "Visits Follow Customers and Salespeople"

    # -------------------------------------------------------------------------
    # Hand-over: customers, leads and users that change
    # -------------------------------------------------------------------------

    @api.model
    def _close_for_partners(self, partners, reason, domain=()):
        """Close the planned visits of ``partners``."""
        if partners:
            self.env["key.account.visit"].search(
                [
                    ("partner_id", "in", partners.ids),
                    ("state", "=", "planned"),
                    *domain,
                ]
            )._close(reason)

    @api.model
    def _follow_commercial_entity(self, partners):
        """Move the visits of partners that became contacts to their company."""
        visits = self.env["key.account.visit"].search(
            [("partner_id", "in", partners.ids)]
        )
        visits = visits.filtered(
            lambda visit: visit.partner_id != visit.partner_id.commercial_partner_id
        )
        for account, moved in visits.grouped(
            lambda visit: visit.partner_id.commercial_partner_id
        ).items():
            moved.filtered(lambda visit: visit.state == "planned")._close(
                self.env._("Now a contact of %s", account.display_name)
            )
            moved.partner_id = account
        self.env["key.account"]._update_visit_dates(partners.ids)

    @api.model
    def _close_for_leads(self, leads, reason):
        """Close the planned visits of leads that have no customer."""
        if leads:
            self.env["key.account.visit"].search(
                self._get_planned_lead_domain(leads)
            )._close(reason)

    @api.model
    def _follow_lead_customer(self, leads):
        """Move the visits of leads to the customer that they got. Where the customer
        has a planned visit already, that one stays."""
        if not leads:
            return
        visits = self.env["key.account.visit"].search(
            [("lead_id", "in", leads.ids), ("partner_id", "=", False)]
        )
        groups = visits.filtered("lead_id.partner_id").grouped(
            lambda visit: visit.lead_id.partner_id.commercial_partner_id
        )
        planned = visits.search(
            [
                ("partner_id", "in", [account.id for account in groups]),
                ("state", "=", "planned"),
            ]
        )
        taken = {(visit.partner_id, visit.company_id, visit.track) for visit in planned}
        for account, visits in groups.items():
            extra = visits.browse()
            for visit in visits.filtered(lambda visit: visit.state == "planned"):
                place = account, visit.company_id, visit.track
                if place in taken:
                    extra |= visit
                taken.add(place)
            if extra:
                extra._close(self.env._("%s has a visit planned", account.display_name))
            visits.partner_id = account

    @api.model
    def _follow_lead_company(self, leads):
        """Move the planned visits of leads without customer to the leads' companies."""
        if not leads:
            return
        for visit in self.env["key.account.visit"].search(
            self._get_planned_lead_domain(leads)
        ):
            company = visit.lead_id.company_id._get_key_account_home()
            if company != visit.company_id:
                visit.company_id = company

    @api.model
    def _hand_over_leads(self, leads, previous_users):
        """Give the planned visits of leads without customer to the leads' salespersons;
        see :meth:`_hand_over_partners`."""
        for model in ("key.account.visit", "key.account.target"):
            records = self.env[model].search(
                [("lead_id", "in", leads.ids), ("partner_id", "=", False)]
            )
            self.env.add_to_compute(records._fields["account_user_id"], records)
        visits = self.env["key.account.visit"].search(
            self._get_planned_lead_domain(leads)
        )
        self._assign_responsibles(
            self._filter_to_hand_over(visits, "lead_id", previous_users)
        )
        self.env["key.account.visit.task"]._hand_over_tasks(
            leads, "lead_id", previous_users
        )

    @api.model
    def _get_planned_lead_domain(self, leads):
        return [
            ("lead_id", "in", leads.ids),
            ("partner_id", "=", False),
            ("state", "=", "planned"),
        ]

    @api.model
    def _merge_leads(self, head, leads):
        """Move the visits of ``leads`` to ``head``: at most one planned per track."""
        visits = self.env["key.account.visit"].search(
            [("lead_id", "in", (head | leads).ids)]
        )
        alone = visits.filtered(
            lambda visit: visit.state == "planned" and not visit.partner_id
        )
        account = head.partner_id.commercial_partner_id
        for group in alone.grouped("track").values():
            own = group.filtered(lambda visit: visit.lead_id == head)
            (group - (own or group)[:1])._close(self.env._("Merged into %s", head.name))
        visits.lead_id = head
        self.env["key.account.target"]._merge(leads, head)
        if account:
            self._follow_lead_customer(head)

    @api.model
    def _hand_over_partners(self, partners, previous_users):
        """Give the planned visits of ``partners`` to their salespersons.

        A visit that somebody gave to a colleague of the previous salesperson stays
        with that colleague, unless that salesperson has left.

        :param dict previous_users: id of the salesperson before, per partner id
        """
        visits = self.env["key.account.visit"].search(
            [("partner_id", "in", partners.ids), ("state", "=", "planned")]
        )
        self._assign_responsibles(
            self._filter_to_hand_over(visits, "partner_id", previous_users)
        )
        self.env["key.account.visit.task"]._hand_over_tasks(
            partners, "partner_id", previous_users
        )

    @api.model
    def _hand_over_stale(self, visits):
        """Hand over planned visits, and what follows from others, that went past a
        change of salesperson: ``account_user_id`` says who it was before."""
        tasks = self.env["key.account.visit.task"]
        for previous, group in visits.grouped("account_user_id").items():
            alone = group.filtered(lambda visit: not visit.partner_id)
            for column, own in (("lead_id", alone), ("partner_id", group - alone)):
                users = dict.fromkeys(own[column].ids, previous.id)
                planned = own.filtered(lambda visit: visit.state == "planned")
                self._assign_responsibles(
                    self._filter_to_hand_over(planned, column, users)
                )
                tasks._hand_over_tasks(own[column], column, users)
        self.env.add_to_compute(visits._fields["account_user_id"], visits)

    @api.model
    def _filter_to_hand_over(self, visits, column, previous_users):
        """Return the visits that the former salesperson had, or that somebody else had
        because there was none: nobody, or the leader of the team."""
        users = self.env["res.users"].browse(set(previous_users.values()) - {False})
        companies = users._get_sales_companies()

        def is_to_hand_over(visit):
            previous = users.browse(previous_users[visit[column].id] or ())
            return visit.user_id in (
                previous,
                users.browse(),
            ) or visit.company_id not in companies.get(previous, ())

        return visits.filtered(is_to_hand_over)

    @api.model
    def _hand_over_lost_users(self, users):
        """Give on the planned visits of users who left, left the company, or aren't in
        sales any more, and what they were to do after visits."""
        visits = self.env["key.account.visit"].search(
            [("user_id", "in", users.ids), ("state", "=", "planned")]
        )
        companies = users._get_sales_companies()
        self._assign_left(
            visits.filtered(
                lambda visit: visit.company_id not in companies[visit.user_id]
            )
        )
        self.env["key.account.visit.task"]._hand_over_lost_tasks(users)

    @api.model
    def _assign_left(self, visits):
        """Give on the planned visits of users who left: those of a substitute go back
        to whose they are."""
        self._assign_responsibles(visits - self._give_substituted_back(visits))

    @api.model
    def _give_back(self, users):
        """Give the planned visits to the accounts of ``users``, who work in sales
        (again), to them: what nobody has, and what the leader of the team has, who
        stood in. What a leader planned for himself stays."""
        if not users:
            return
        visits = self.env["key.account.visit"].search(
            Domain("state", "=", "planned")
            & Domain("user_id", "not in", users.ids)
            & (
                Domain("account_user_id", "in", users.ids)
                | Domain("track", "=", "executive")
            )
        )
        visits = visits.filtered(
            lambda visit: (
                not visit.user_id
                or visit.user_id == visit.team_id.user_id
                and (visit.cadence_id or visit.create_uid != visit.user_id)
            )
        )
        for (user_id, team_id), group in self._group_by_responsible(visits).items():
            if user_id in users.ids:
                group.write({"user_id": user_id, "team_id": team_id})

    @api.model
    def _end_substitutions(self, company, today=None):
        """Give planned visits back whose salespeople are there again: to them, or to
        whoever serves the account by now.

        :param date today: default: today where the substitute is
        """
        visits = self.env["key.account.visit"].search(
            [
                ("company_id", "=", company.id),
                ("state", "=", "planned"),
                ("substituted_until", "<", today or clock.get_latest_today()),
            ]
        )
        if not visits:
            return
        visits = visits.filtered(
            lambda visit: visit.substituted_until < (today or visit._get_today())
        )
        others = visits - self._give_substituted_back(visits)
        self._assign_responsibles(others)
        others.write({"substituted_user_id": False, "substituted_until": False})

    @api.model
    def _give_substituted_back(self, visits):
        """Give visits that substitutes have to whose they are, where these work in
        sales there and serve the account, or planned the visit by hand.

        :return: the visits that went back
        """
        companies = visits.substituted_user_id._get_sales_companies()
        back = visits.filtered(
            lambda visit: (
                visit.company_id in companies.get(visit.substituted_user_id, ())
                and (
                    visit.account_user_id == visit.substituted_user_id
                    or not visit.cadence_id
                )
            )
        )
        for user, group in back.grouped("substituted_user_id").items():
            group.write({"user_id": user.id})
        return back

    @api.model
    def _assign_responsibles(self, visits):
        """Give the visits, with their activities, to whoever is responsible now."""
        for (user_id, team_id), group in self._group_by_responsible(visits).items():
            group.write({"user_id": user_id, "team_id": team_id})

    @api.model
    def _group_by_responsible(self, visits):
        """Return {(user id, team id): visits} by who is responsible for them now."""
        result = defaultdict(visits.browse)
        dues = self.env["key.account.due"].sudo()
        for company, group in visits.grouped("company_id").items():
            keys = {
                visit: (
                    visit.partner_id.id or None,
                    None if visit.partner_id else visit.lead_id.id,
                    visit.track,
                )
                for visit in group
            }
            responsibles = dues._get_responsibles(company, keys.values())
            for visit, key in keys.items():
                result[responsibles[key]] |= visit
        return result

    @api.model
    def _follow_sponsor(self, accounts):
        """Give the planned executive visits of ``accounts`` to their sponsors."""
        for company, same in accounts.grouped("company_id").items():
            visits = self.env["key.account.visit"].search(
                [
                    ("partner_id", "in", same.partner_id.ids),
                    ("company_id", "=", company.id),
                    ("state", "=", "planned"),
                    ("track", "=", "executive"),
                ]
            )
            self._assign_responsibles(visits)

    @api.model
    def _follow_contacts(self, domain):
        """Choose anew whom to see where a planned visit names a contact who was
        archived, left or went elsewhere; and, unless a person chose the contact, where
        another fits the cell, or nobody did so far.

        :param domain: limits the visits
        """
        targets = Domain("target_contact_id", "!=", False)
        if features.is_used(self.env, features.BUYING_CENTER):
            targets |= Domain("target_role_id", "!=", False)
            targets |= Domain("target_level", "!=", False)
        visits = (
            self.env["key.account.visit"]
            .with_context(active_test=False)
            .search(Domain("state", "=", "planned") & targets & Domain(domain))
        )
        visits = visits.filtered(lambda visit: not self._is_target_right(visit))
        for company, group in visits.grouped("company_id").items():
            plans = [
                {
                    "partner_id": visit.partner_id.id,
                    "tier_id": visit.tier_id.id,
                    "track": visit.track,
                }
                for visit in group
            ]
            self.env["key.account.plan.values"]._choose_targets(company, plans)
            for visit, plan in zip(group, plans, strict=True):
                target = {
                    "target_contact_id": plan.get("target_contact_id") or False,
                    "target_role_id": plan.get("target_role_id") or False,
                    "target_level": plan.get("target_level") or False,
                }
                before = [
                    visit.target_contact_id.id,
                    visit.target_role_id.id,
                    visit.target_level,
                ]
                if before != list(target.values()):
                    visit.write(target)

    @api.model
    def _is_target_right(self, visit):
        """Return whether whoever the planned visit names is there, and in the cell for
        which the contact was chosen."""
        contact = visit.target_contact_id
        if not contact:
            return False
        home = contact.company_id and contact.company_id._get_key_account_home()
        left = contact.left_company_date
        return (
            contact.active
            and contact.commercial_partner_id == visit.partner_id
            and (not home or home == visit.company_id)
            # by the day of the company, as it was chosen
            and not (left and left <= clock.get_today(visit.company_id))
            and (
                not visit.target_role_id
                or visit.target_role_id in contact.buying_role_ids
            )
            and visit.target_level in (contact.decision_level, False)
        )
