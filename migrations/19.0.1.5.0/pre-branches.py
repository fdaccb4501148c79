def migrate(cr, version):
    """Branches had accounts of their own: where they have, they stay apart."""
    cr.execute(
        "ALTER TABLE key_account_policy ADD COLUMN IF NOT EXISTS branches_apart boolean"
    )
    cr.execute(
        """
        UPDATE key_account_policy
           SET branches_apart = EXISTS (
               SELECT FROM key_account account
                 JOIN res_company company ON company.id = account.company_id
                WHERE company.parent_id IS NOT NULL)
         WHERE branches_apart IS NULL
        """
    )
