import {Component, useState} from "@odoo/owl";
import {_t} from "@web/core/l10n/translation";
import {browser} from "@web/core/browser/browser";
import {registry} from "@web/core/registry";
import {standardWidgetProps} from "@web/views/widgets/standard_widget_props";
import {useService} from "@web/core/utils/hooks";

const MODEL = "key.account.visit";

/** Where the phone is; nothing if it doesn't know, or isn't allowed to say. */
function getPlace() {
    const {geolocation} = browser.navigator;
    if (!geolocation) {
        return Promise.resolve(null);
    }
    return new Promise((resolve) => {
        geolocation.getCurrentPosition(
            ({coords: {latitude, longitude, accuracy}}) =>
                resolve({latitude, longitude, accuracy}),
            () => resolve(null),
            {enableHighAccuracy: true, maximumAge: 60000, timeout: 60000}
        );
    });
}

/**
 * One tap at the customer's door. The time is noted at once, the place when the phone
 * knows it: it may first ask whether it may tell.
 */
export class CheckIn extends Component {
    static template = "crm_key_account.CheckIn";
    static props = {...standardWidgetProps};

    setup() {
        this.orm = useService("orm");
        this.notification = useService("notification");
        this.state = useState({isBusy: false});
    }

    async onClick() {
        const {record} = this.props;
        if (!(await record.save())) {
            return;
        }
        const {resId} = record;
        this.state.isBusy = true;
        const placeKnown = getPlace();
        try {
            await this.orm.call(MODEL, "action_check_in", [[resId]]);
        } finally {
            this.state.isBusy = false;
        }
        // Not the widget's own services: it is gone when the record has been loaded
        const {orm} = this.env.services;
        let isUndone = false;
        const close = this.notification.add(
            _t("Checked in: %s", record.data.name || record.data.display_name || ""),
            {
                type: "success",
                buttons: [
                    {
                        name: _t("Undo"),
                        onClick: async () => {
                            isUndone = true;
                            close();
                            await orm.call(MODEL, "action_undo_check_in", [[resId]]);
                            await record.load();
                        },
                    },
                ],
            }
        );
        await record.load();
        const place = await placeKnown;
        if (place && !isUndone) {
            await orm.silent.call(MODEL, "action_check_in", [[resId], place]);
            await record.load();
        }
    }
}

registry.category("view_widgets").add("key_account_check_in", {component: CheckIn});
