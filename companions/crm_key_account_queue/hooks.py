def uninstall_hook(env):
    """Cancel what is queued: nobody will know its methods, and cron goes on with it."""
    jobs = env["queue.job"].search(
        [
            ("model_name", "=", "key.account.night"),
            ("state", "in", ("wait_dependencies", "pending", "enqueued")),
        ]
    )
    jobs.button_cancelled()
