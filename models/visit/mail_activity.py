from collections import defaultdict

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import clean_context, html2plaintext, plaintext2html

from ..account import words
from ..account.key_account_mixin import get_account_key


class MailActivity(models.Model):
    """What is to be done about a visit: the visit itself, and what follows from it.

    Visits and commitments are kept in step with their activities wherever Odoo lets
    people handle these: popover, list, kanban, chatter, systray. All of them end in
    ``write`` or ``unlink``; done is archived, cancelled is deleted. Each side writes
    the other one only where it differs, so that both come to rest.
    """

    _inherit = "mail.activity"

    key_account_visit_id = fields.Many2one(
        "key.account.visit",
        string="Customer Visit",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
        groups="sales_team.group_sale_salesman",
    )
    key_account_role = fields.Selection(
        [
            ("visit", "Visit"),
            ("follow_up", "Follow-up"),
            ("commitment", "Commitment"),
            ("support", "Support"),
            ("promise", "Promise of a colleague"),
            ("escalation", "Escalation"),
        ],
        string="Role in a Customer Visit",
        readonly=True,
        copy=False,
        index="btree_not_null",
        help="What the activity is to a customer visit. With a role it is for those "
        "who may read the visit, and for whoever is to do it.",
    )
    # A copy for the record rule, which is asked for everybody's activities: the visit
    # may be gone, and some escalations never had one.
    key_account_company_id = fields.Many2one(
        "res.company",
        string="Company of the Customer Visit",
        readonly=True,
        copy=False,
        groups="sales_team.group_sale_salesman",
    )
    can_report_key_account_visit = fields.Boolean(
        compute="_compute_can_report_key_account_visit"
    )

    @api.depends("active", "key_account_role")
    @api.depends_context("uid")
    def _compute_can_report_key_account_visit(self):
        is_sales = self.env.user.has_group("sales_team.group_sale_salesman")
        for activity in self:
            activity.can_report_key_account_visit = (
                is_sales and activity.active and activity.key_account_role == "visit"
            )

    # -------------------------------------------------------------------------
    # The life of a visit's activities
    # -------------------------------------------------------------------------

    @api.model
    def _create_for_visits(self, role, vals_list):
        """Create activities of visits, the one that is the visit or what follows from
        it. No mail goes out: ``mail_activity_quick_update`` keeps core from telling
        everybody about every activity; the daily digest does.

        :param str role: what they are to the visits, see ``key_account_role``
        :param list vals_list: ``document``, the customer or lead, and ``company``, with
            the other values
        """
        models_ = self.env["ir.model"]
        users = self.env["res.users"].sudo()
        prepared = []
        for vals in vals_list:
            document = vals.pop("document").sudo()
            prepared.append(
                {
                    "note": False,
                    "automated": True,
                    "res_model_id": models_._get_id(document._name),
                    "res_id": document.id,
                    # what core would find out for each, and write afterwards
                    "res_model": document._name,
                    "res_name": document.display_name,
                    "user_tz": users.browse(vals.get("user_id") or ()).tz,
                    "key_account_role": role,
                    "key_account_company_id": vals.pop("company").id,
                    **vals,
                }
            )
        return (
            self.sudo().with_context(mail_activity_quick_update=True).create(prepared)
        )

    @api.model
    def _get_visit_summary(self, visit):
        """Return why the customer is to be seen, and whom to see there, in the language
        of the salesperson."""
        lang = visit.user_id.lang or visit.env.lang
        cells = visit.env["key.account.tier.cell"].with_context(lang=lang)
        target = cells._get_target_text(
            visit.target_contact_id, visit.target_role_id, visit.target_level
        )
        return words.join_clauses(cells.env, (visit.summary, target))

    @api.model
    def _get_visit_note(self, visit):
        """Return the objective, which is plain text, as the note."""
        return plaintext2html(visit.objective) if visit.objective else False

    def _write_quietly(self, vals):
        """Write what the visit or the commitment says; no mail goes out."""
        return self.sudo().with_context(mail_activity_quick_update=True).write(vals)

    @api.model
    def _write_differing(self, said):
        """Write what visits or commitments say of their activities, where that differs:
        those of which the same is said at once.

        :param dict said: values by activity
        """
        groups = defaultdict(self.browse)
        for activity, vals in said.items():
            groups[tuple(vals.items())] |= activity._get_differing(vals)
        for vals, activities in groups.items():
            if activities:
                activities._write_quietly(dict(vals))

    def _get_differing(self, vals):
        """Return the activities that don't say ``vals`` yet."""
        return self.filtered(
            lambda activity: any(
                activity._fields[name].convert_to_write(activity[name], activity)
                != value
                for name, value in vals.items()
            )
        )

    def _check_can_be_given(self, vals):
        """Refuse to give what is to be done about visits to people who couldn't open
        them.

        :raise UserError: if somebody doesn't work in sales, or in the company
        """
        user = self.env["res.users"].browse(vals["user_id"])
        given = self.sudo().filtered(
            lambda activity: activity.key_account_role and activity.user_id != user
        )
        if not given:
            return
        self.check_access("write")
        self.env["key.account.week.board"]._check_works_in_sales(user)
        for company in given.key_account_company_id - user.sudo().company_ids:
            raise UserError(
                self.env._(
                    "%(user)s doesn't work for %(company)s: choose another "
                    "salesperson.",
                    user=user.sudo().name,
                    company=company.name,
                )
            )

    def _check_stays(self, vals):
        """Refuse to carry what is to be done about a visit to another document: the
        visit would stay where it is.

        :raise UserError: if ``vals`` names another one
        """
        named = {"res_id", "res_model", "res_model_id"} & vals.keys()
        own = self.sudo().filtered("key_account_role")
        if own:
            # the refusal names the customer
            self.check_access("write")
        for activity in own:
            stays = {
                "res_id": activity.res_id,
                "res_model": activity.res_model,
                "res_model_id": activity.res_model_id.id,
            }
            if any(vals[name] != stays[name] for name in named):
                raise UserError(
                    self.env._(
                        "The activity belongs to the visit to %s: plan another one "
                        "there.",
                        activity.res_name,
                    )
                )

    def _filter_key_account_role(self, role):
        # sudo: whoever may write the activity
        return (
            self.sudo()
            .filtered(lambda activity: activity.key_account_role == role)
            .sudo(self.env.su)
        )

    def _get_key_account_visits(self):
        # sudo: whoever may handle the activity keeps its visit in step. By ids: visits
        # are read together, also when their activities are gone.
        visits = self.sudo().key_account_visit_id
        return visits.browse(visits.ids)

    def _get_followed(self):
        """Return the visits and the commitments that the activities are."""
        visits = self._filter_key_account_role("visit")._get_key_account_visits()
        return visits, self._get_key_account_commitments()

    def _carry_to_visits(self, visits, vals):
        """Do with visits and commitments what was done with their activities.

        :param visits: those of the activities that are visits
        :param dict vals: what was written
        """
        if visits:
            visits._get_key_account_visits()._write_from_activities(vals)
        if commitments := self._get_key_account_commitments():
            commitments._write_from_activities(vals)

    def _get_key_account_commitments(self):
        commitments = self.env["key.account.commitment"].sudo()
        activities = self._filter_key_account_role("commitment")
        if not activities:
            return commitments
        return commitments.search([("activity_id", "in", activities.ids)])

    # -------------------------------------------------------------------------
    # Activities that people make
    # -------------------------------------------------------------------------

    def _become_visits(self):
        """Take activities of our types on customers, contacts and leads for visits that
        somebody plans, with the rights of whoever makes them. What is planned there
        already is moved: an account has one planned visit of a kind.

        Outside sales they are activities like any other.

        :raise UserError: if there are several for one account, or a colleague has
            planned one that the user may not move
        """
        made = self.filtered(
            lambda activity: (
                activity.active
                and activity.res_model in ("res.partner", "crm.lead")
                and not activity.sudo().key_account_role
            )
        )
        if not made:
            return
        tracks = self.env["mail.activity.type"]._get_key_account_tracks()
        made = made.filtered(lambda activity: activity.activity_type_id.id in tracks)
        visits = self.env["key.account.visit"]
        visits = visits.with_context(clean_context(self.env.context))
        if not made or not visits.has_access("create"):
            return
        vals_list = [
            activity._prepare_visit_values(tracks[activity.activity_type_id.id])
            for activity in made
        ]
        planned = self._find_planned_visits(visits, vals_list)
        if len(planned) < len(vals_list):
            raise UserError(self._get_taken_text())
        new = [
            vals
            for vals, visit in zip(vals_list, planned.values(), strict=True)
            if not visit
        ]
        created = iter(visits.create(new))
        for activity, vals, visit in zip(
            made, vals_list, planned.values(), strict=True
        ):
            if not visit:
                visit = next(created)
            elif visit.has_access("write"):
                visit.write(activity._get_moved_values(vals))
            else:
                raise UserError(self._get_taken_text())
            activity._take_place(visit)

    @api.model
    def _find_planned_visits(self, visits, vals_list):
        """Return {account key: the planned visit, or an empty one} for values of new
        visits, in their order. One query; also what the user can't see is found."""
        keys = [
            get_account_key(
                *(vals[name] for name in ("partner_id", "lead_id", "company_id")),
                vals["track"],
            )
            for vals in vals_list
        ]
        found = visits.sudo().search(
            Domain("state", "=", "planned")
            & (
                Domain("partner_id", "in", [key[0] for key in keys])
                | Domain("partner_id", "=", False)
                & Domain("lead_id", "in", [key[1] for key in keys])
            )
        )
        planned = {
            visit._get_account_key(): visit.with_env(visits.env) for visit in found
        }
        return {key: planned.get(key, visits.browse()) for key in keys}

    def _take_place(self, visit):
        """Become the activity of the planned visit, in the place of the one that it
        has: a person made this one."""
        document = visit._get_document()
        previous = visit.sudo().activity_id
        previous._write_quietly(
            {
                "key_account_visit_id": False,
                "key_account_company_id": False,
                "key_account_role": False,
            }
        )
        vals = {
            "key_account_visit_id": visit.id,
            "key_account_company_id": visit.company_id.id,
            "key_account_role": "visit",
            "res_model_id": self.env["ir.model"]._get_id(document._name),
            "res_id": document.id,
        }
        if event := visit.sudo().calendar_event_id:
            vals["calendar_event_id"] = event.id
        self._write_quietly(vals)
        previous.unlink()
        visit.sudo()._adopt_meetings()

    def _prepare_visit_values(self, track):
        """Return the values of a visit that the activity, of one of our types, is."""
        record = self.env[self.res_model].browse(self.res_id)
        is_lead = self.res_model == "crm.lead"
        partner = record.partner_id if is_lead else record
        account = partner.commercial_partner_id
        company = self._get_visit_company(record, account)
        vals = {
            "partner_id": account.id,
            "lead_id": record.id if is_lead else False,
            "company_id": company.id,
            "track": track,
            "user_id": self.user_id.id,
            "date_planned": self.date_deadline,
            "summary": self.summary,
            "objective": " ".join(html2plaintext(self.note or "").split()),
        }
        is_contact = partner != account and partner.type == "contact"
        if is_contact and not partner.is_company:
            vals["target_contact_id"] = partner.id
        return vals

    def _get_visit_company(self, record, account):
        """Return the company in which the activity is a visit: that of the lead, or of
        the customer. Where several share the customer the current one, unless whoever
        is to go there works in another one alone, as if a job makes the activity.

        :param record: the customer or lead
        :param account: the customer, empty for a lead that has none
        """
        here = self.env.company._get_key_account_home()
        # what the user, or a job, may do something in
        allowed = self.env.companies
        if self.env.su:
            allowed = self.env["res.company"].sudo().search(Domain.TRUE)
        allowed = allowed._get_key_account_keepers()
        company = account.company_id and account.company_id._get_key_account_home()
        if record._name == "crm.lead":
            of_lead = record._get_key_account_company()
            if not account or of_lead in allowed:
                company = of_lead or company
        if company:
            return company
        user = self.user_id.sudo()
        own = (user.company_id | user.company_ids)._get_key_account_keepers() & allowed
        return here if here in own else own[:1] or here

    @api.model
    def _get_moved_values(self, vals):
        """Return what somebody decides anew about a planned visit: the day and the
        salesperson, and what was said."""
        decided = {"date_planned", "user_id"}
        said = {"objective", "summary", "target_contact_id"}
        return {
            name: value
            for name, value in vals.items()
            if name in decided or (name in said and value)
        }

    @api.model
    def _get_taken_text(self):
        return self.env._(
            "The customer already has a planned visit of this kind: move that one."
        )

    def action_report_key_account_visit(self, feedback=False):
        """Open the report of the visit to which the activity belongs.

        :param str feedback: what was typed into the activity's dialog; becomes a note
            of the report
        :raise UserError: if the activity belongs to no visit
        :raise AccessError: if the user may not report the visit
        """
        self.ensure_one()
        self.check_access("read")
        activity = self._filter_key_account_role("visit")
        visit = self.env["key.account.visit"].search(
            [("id", "in", activity._get_key_account_visits().ids)]
        )
        if not visit:
            raise UserError(
                self.env._("The visit of this activity is gone: refresh the page.")
            )
        action = visit.action_open_report()
        if feedback:
            visit._add_feedback(feedback)
        return action
