def migrate(cr, version):
    """Visits that were done before there were reports aren't to be reported."""
    cr.execute(
        """
        UPDATE key_account_visit
           SET report_date = date_done
         WHERE state = 'done' AND report_date IS NULL
        """
    )
