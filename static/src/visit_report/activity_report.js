import {Activity} from "@mail/core/common/activity_model";
import {ActivityMarkAsDone} from "@mail/core/web/activity_markasdone_popover";
import {patch} from "@web/core/utils/patch";

patch(Activity.prototype, {
    setup() {
        super.setup(...arguments);
        /** @type {boolean} */
        this.can_report_key_account_visit = false;
    },
});

patch(ActivityMarkAsDone.prototype, {
    /** The visit's report, with what was typed so far. */
    async onClickVisitReport() {
        const {activity, close, onActivityChanged} = this.props;
        const {services} = this.env;
        const thread = services["mail.store"].Thread.insert({
            model: activity.res_model,
            id: activity.res_id,
        });
        const action = await services.orm.call(
            "mail.activity",
            "action_report_key_account_visit",
            [[activity.id]],
            {feedback: activity.feedback || false}
        );
        close?.();
        await new Promise((resolve) => {
            services.action.doAction(action, {onClose: resolve});
        });
        onActivityChanged(thread);
        await thread.fetchNewMessages();
    },
});
