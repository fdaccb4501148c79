import {
    SelectionField,
    selectionField,
} from "@web/views/fields/selection/selection_field";
import {_t} from "@web/core/l10n/translation";
import {registry} from "@web/core/registry";

export const TRACK_ICONS = {
    visit: "fa-briefcase",
    contact: "fa-phone",
    executive: "fa-star",
};

/** The track as an icon: calls are told from visits at a glance. */
export class TrackField extends SelectionField {
    static template = "crm_key_account.TrackField";

    get icon() {
        return TRACK_ICONS[this.value];
    }
}

registry.category("fields").add("key_account_track", {
    ...selectionField,
    component: TrackField,
    displayName: _t("Track as an Icon"),
    supportedTypes: ["selection"],
});
