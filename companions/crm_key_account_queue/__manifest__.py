{
    "name": "CRM Key Account: Job Queue",
    "version": "19.0.1.0.0",
    "category": "Sales/CRM",
    "summary": "The nightly run on many workers and hosts, with OCA's job queue",
    "author": "Key Account contributors",
    "license": "LGPL-3",
    "depends": ["crm_key_account", "queue_job"],
    "data": [
        "security/ir.model.access.csv",
        "security/ir_rule.xml",
        "data/queue_job.xml",
        "data/ir_cron.xml",
        "views/queue_job_views.xml",
    ],
    "uninstall_hook": "uninstall_hook",
}
