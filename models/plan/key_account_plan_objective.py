from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..account import bounds

AMOUNTS = (-float(bounds.MAX_AMOUNT), float(bounds.MAX_AMOUNT))


class KeyAccountPlanObjective(models.Model):
    """What we want to reach at a customer, and how we see that we do. What is to be
    done for it are its activities."""

    _name = "key.account.plan.objective"
    _inherit = ["key.account.plan.line", "key.account.thread", "mail.activity.mixin"]
    _description = "Objective of an Account Plan"
    _order = "sequence, id"

    sequence = bounds.Integer(default=10, bounds=bounds.SEQUENCES)
    name = bounds.Char(string="Objective", required=True)
    measure = bounds.Char(help="By what we see it: a figure, and its unit.")
    start_value = bounds.Float(string="Start", aggregator=None, bounds=AMOUNTS)
    current_value = bounds.Float(string="Now", aggregator=None, bounds=AMOUNTS)
    target_value = bounds.Float(string="Target", aggregator=None, bounds=AMOUNTS)
    progress = fields.Float(
        string="Progress (%)",
        compute="_compute_progress",
        help="How much of the way from the start to the target is done.",
    )
    date_end = bounds.Date(string="Until", is_plan=True)
    user_id = fields.Many2one(
        "res.users",
        string="Responsible",
        index="btree_not_null",
        ondelete="set null",
        domain=[("share", "=", False)],
    )
    contact_id = fields.Many2one(
        "res.partner",
        string="Their Stakeholder",
        index="btree_not_null",
        ondelete="set null",
        domain="[('id', 'child_of', partner_id), ('is_company', '=', False)]",
        help="The contact at the customer who wants it too, or has to agree.",
    )

    @api.depends("start_value", "current_value", "target_value")
    def _compute_progress(self):
        for objective in self:
            way = objective.target_value - objective.start_value
            done = objective.current_value - objective.start_value
            # Without a way to go there is no progress to speak of.
            share = done / way if way else 0.0
            objective.progress = 100 * min(max(share, 0.0), 1.0)

    @api.constrains("user_id", "plan_id")
    def _check_user(self):
        for objective in self.filtered("user_id"):
            plan, user = objective.plan_id, objective.user_id
            if not plan._can_work_on(user):
                raise ValidationError(
                    self.env._(
                        "%(user)s doesn't work in sales of %(company)s: choose "
                        "somebody else for the objective.",
                        user=user.sudo().name,
                        company=plan.company_id.name,
                    )
                )
            if not plan._can_be_read_by(user):
                raise ValidationError(
                    self.env._(
                        "%s can't read this plan: add them to its team first, or "
                        "choose somebody else for the objective.",
                        user.sudo().name,
                    )
                )

    @api.constrains("contact_id", "plan_id")
    def _check_contact(self):
        for objective in self.filtered("contact_id"):
            # sudo: the plan's customer and its group, whoever serves them
            contact = objective.contact_id.sudo()
            plan = objective.plan_id.sudo()
            account = contact.commercial_partner_id
            if account.id not in plan._get_group_ids()[plan.id]:
                raise ValidationError(
                    self.env._(
                        "%(contact)s isn't a contact of %(account)s: choose another "
                        "stakeholder.",
                        contact=contact.name,
                        account=plan.partner_id.display_name,
                    )
                )

    def _message_auto_subscribe(self, updated_values, followers_existing_policy="skip"):
        # Nobody is told of a line: their activities are in their list of things to do
        return True

    def _mail_get_partner_fields(self, introspect_fields=False):
        # No mail to customers: nothing suggests them
        return []
