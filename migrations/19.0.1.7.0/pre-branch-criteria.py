def migrate(cr, version):
    """Who works in a branch alone reads the criteria of the companies above: the rule
    that says so is new, and this one, which data files don't touch any more, would
    forbid it."""
    cr.execute(
        """
        UPDATE ir_rule
           SET perm_read = FALSE
         WHERE id = (SELECT res_id
                       FROM ir_model_data
                      WHERE module = 'crm_key_account'
                        AND name = 'key_account_relationship_criterion_rule_company')
        """
    )
