from odoo import api, models


class KeyAccountVisit(models.Model):
    """What the figures need to know of a visit."""

    _inherit = "key.account.visit"

    @api.model_create_multi
    def create(self, vals_list):
        visits = super().create(vals_list)
        visits.filtered(
            lambda visit: visit.user_id and not visit.team_id and not visit.cadence_id
        )._copy_team()
        return visits

    def write(self, vals):
        res = super().write(vals)
        if vals.get("user_id") and "team_id" not in vals:
            # the leader of another team has to know
            self.filtered(lambda visit: visit.state == "planned")._copy_team()
        return res

    def _copy_team(self):
        """Note the salesperson's team on visits that a person planned or logged: who
        changes teams later takes no figures along."""
        for company, visits in self.sudo().grouped("company_id").items():
            teams = self.env["crm.team.member"]._get_user_teams(company, visits.user_id)
            for user, group in visits.grouped("user_id").items():
                if team := teams.get(user.id):
                    group.team_id = team
