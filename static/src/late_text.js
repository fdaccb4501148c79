import {_t} from "@web/core/l10n/translation";

/** How many days late something is, in words. */
export function getLateText(days) {
    return days === 1 ? _t("1 day late") : _t("%s days late", days);
}
