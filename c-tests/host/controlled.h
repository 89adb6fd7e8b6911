// A plugin whose host listens: what scenarios of events, symbols and guarded calls begin with.
#ifndef CR_TEST_CONTROLLED_H
#define CR_TEST_CONTROLLED_H

#include "fixture.h"

namespace {

struct Controlled : Plugin {
    std::string events;
    cr_answer to_change = CR_GO_ON;
    cr_answer to_crash = CR_GO_ON;
    void (*during)(Controlled &, const cr_event &) = nullptr;
    std::string last_text;

    explicit Controlled(const char *guest, cr_options options = CR_OPTIONS_INIT) : Plugin(guest) {
        cr_plugin_close(ctx); // opened without options
        options.on_event = listen;
        options.event_data = this;
        CHECK(cr_plugin_open_with(ctx, path.c_str(), options));
        events.clear();
    }

    // The events since the last time: "changed@2 before_unload@1 ...".
    std::string told() {
        std::string text;
        text.swap(events);
        return text;
    }

  private:
    static cr_answer listen(cr_plugin *ctx, const cr_event *event, void *data) {
        static const char *const names[] = {"changed", "rejected", "before_unload", "after_unload", "carried", "loaded",
                                            "crash",   "rollback", "user",          "mapped",       "closed"};
        Controlled &self = *static_cast<Controlled *>(data);
        CHECK(ctx == &self.ctx);
        CHECK(event->size == sizeof(cr_event));
        CHECK(event->text && *event->text);
        self.last_text = event->text;
        self.events +=
            (self.events.empty() ? "" : " ") + std::string(names[event->kind]) + "@" + std::to_string(event->version);
        if (event->failure != CR_NONE) {
            self.events += "!" + std::to_string(event->failure);
        }
        if (self.during) {
            self.during(self, *event);
        }
        return event->kind == CR_EVENT_CHANGED ? self.to_change
               : event->kind == CR_EVENT_CRASH ? self.to_crash
                                               : static_cast<cr_answer>(77); // no answer there is
    }
};

#define CHECK_TOLD(expected, plugin) CHECK_TEXT(expected, (plugin).told().c_str())

} // namespace

#endif
