def migrate(cr, version):
    """Who works in a branch alone reads what is in force there of the companies above:
    the rules that say so are new, and these, which data files don't touch any more,
    would forbid it."""
    cr.execute(
        """
        UPDATE ir_rule
           SET perm_read = FALSE
         WHERE id IN (SELECT res_id
                        FROM ir_model_data
                       WHERE module = 'crm_key_account'
                         AND name IN ('key_account_cadence_rule_company',
                                      'key_account_criterion_rule_company',
                                      'key_account_policy_rule_company',
                                      'key_account_tier_cell_rule_company',
                                      'key_account_tier_rule_company'))
        """
    )
