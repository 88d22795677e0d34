package tck;

import java.io.FileInputStream;
import java.io.IOException;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Pattern;
import org.eclipse.dataspacetck.core.spi.boot.Monitor;
import org.eclipse.dataspacetck.core.system.ConsoleMonitor;
import org.junit.platform.engine.FilterResult;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.discovery.ClassNameFilter;
import org.junit.platform.engine.discovery.DiscoverySelectors;
import org.junit.platform.engine.support.store.Namespace;
import org.junit.platform.launcher.Launcher;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.LauncherSession;
import org.junit.platform.launcher.LauncherSessionListener;
import org.junit.platform.launcher.PostDiscoveryFilter;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherConfig;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/**
 * Runs the tests of the kit against the connector that a properties file names: Main FILE [REGEX over display names].
 *
 * <p>Writes one line for each test, "N passed, N failed, N skipped" as the last one, and ends with 0 only if nothing
 * failed. The kit's own runner always ends with 0.
 */
public final class Main {
    private Main() {}

    public static void main(String[] args) throws IOException {
        Properties settings = new Properties();
        try (var file = new FileInputStream(args[0])) {
            settings.load(file);
        }
        settings.putIfAbsent("dataspacetck.launcher", "org.eclipse.dataspacetck.dsp.system.DspSystemLauncher");
        // Without this the kit listens on every interface.
        settings.putIfAbsent("dataspacetck.host", "127.0.0.1");
        settings.forEach((key, value) -> System.setProperty((String) key, (String) value));

        Report report = new Report();
        long begin = System.nanoTime();
        launcher().execute(request(args.length > 1 ? Pattern.compile(args[1]) : Pattern.compile("")), report);
        System.out.printf("took %.1f s%n", (System.nanoTime() - begin) / 1e9);
        System.out.printf("%d passed, %d failed, %d skipped%n", report.passed, report.failed, report.skipped);
        // The kit leaves threads running, so returning would not end the process.
        System.exit(report.failed == 0 && report.passed > 0 ? 0 : 1);
    }

    private static LauncherDiscoveryRequest request(Pattern only) {
        PostDiscoveryFilter chosen = found ->
                FilterResult.includedIf(!found.isTest() || only.matcher(found.getDisplayName()).find());
        return LauncherDiscoveryRequestBuilder.request()
                .selectors(DiscoverySelectors.selectPackage("org.eclipse.dataspacetck.dsp.verification"))
                .filters(ClassNameFilter.includeClassNamePatterns(".*Test"), chosen)
                .build();
    }

    private static Launcher launcher() {
        // Releases of the kit after RC6 look for their monitor here; RC6 does not mind.
        var monitor = new ConsoleMonitor(false, false);
        return LauncherFactory.create(LauncherConfig.builder()
                .addLauncherSessionListeners(new LauncherSessionListener() {
                    @Override
                    public void launcherSessionOpened(LauncherSession session) {
                        session.getStore().put(Namespace.GLOBAL, Monitor.class.getName(), monitor);
                    }
                })
                .build());
    }

    /** Counts; a container that fails (its configuration, say) counts as a failure too. */
    private static final class Report implements TestExecutionListener {
        private int passed;
        private int failed;
        private int skipped;
        private final Map<String, Long> begun = new ConcurrentHashMap<>();

        @Override
        public void executionStarted(TestIdentifier test) {
            begun.put(test.getUniqueId(), System.nanoTime());
        }

        @Override
        public void executionSkipped(TestIdentifier test, String reason) {
            if (test.isTest()) {
                skipped++;
                System.out.printf("SKIP           %s%n", test.getDisplayName());
            }
        }

        @Override
        public void executionFinished(TestIdentifier test, TestExecutionResult result) {
            boolean good = result.getStatus() == TestExecutionResult.Status.SUCCESSFUL;
            if (good && !test.isTest()) {
                return;
            }
            long now = System.nanoTime();
            long ms = (now - begun.getOrDefault(test.getUniqueId(), now)) / 1_000_000;
            System.out.printf("%s %6d ms %s%n", good ? "PASS" : "FAIL", ms, test.getDisplayName());
            if (good) {
                passed++;
            } else {
                failed++;
                result.getThrowable().ifPresent(error -> System.out.println("        " + error));
            }
        }
    }
}
