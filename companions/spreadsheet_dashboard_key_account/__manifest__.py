{
    "name": "Spreadsheet dashboard for key accounts",
    "version": "19.0.1.0.0",
    "category": "Productivity/Dashboard",
    "summary": "Tiers, salespeople and accounts at risk in Odoo's Dashboards",
    "author": "Key Account contributors",
    "license": "LGPL-3",
    "depends": ["spreadsheet_dashboard", "crm_key_account"],
    "data": ["data/dashboards.xml"],
    "auto_install": ["crm_key_account", "spreadsheet_dashboard"],
}
