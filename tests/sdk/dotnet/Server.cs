using System;
using System.Diagnostics;
using System.IO;
using System.Text;
using System.Text.RegularExpressions;
using System.Threading.Tasks;

namespace Hubbub.Sdk;

/// <summary>One <c>hubbub dev</c> on free ports. Knows its start-up lines and nothing of the tests.</summary>
sealed class Server : IAsyncDisposable
{
    static readonly TimeSpan ReadyWithin = TimeSpan.FromSeconds(30);
    static readonly TimeSpan StoppedWithin = TimeSpan.FromSeconds(15);

    readonly StringBuilder printed = new();
    readonly TaskCompletionSource ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly string folder = Directory.CreateTempSubdirectory("hubbub-test-").FullName;
    readonly Process process;

    Server(string binary)
    {
        process = new Process { StartInfo = new ProcessStartInfo(binary) { RedirectStandardOutput = true, RedirectStandardError = true } };
        foreach (var argument in new[] { "dev", "--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0", "--operations-listen", "127.0.0.1:0", "--data-dir", folder })
        {
            process.StartInfo.ArgumentList.Add(argument);
        }
        process.OutputDataReceived += (_, line) => Printed(line.Data);
        process.ErrorDataReceived += (_, line) => Printed(line.Data);
    }

    public Transport Http => Transport.Parse("http", Line("Connection string"));
    public Transport Https => Transport.Parse("https", Line("Connection string \\(TLS\\)"));
    public string CertificateAuthority => Line("Certificate authority");

    public static async Task<Server> Start()
    {
        var binary = Environment.GetEnvironmentVariable("HUBBUB")
            ?? throw new InvalidOperationException("HUBBUB is not set: name the server's binary, for example HUBBUB=$PWD/target/release/hubbub");
        var server = new Server(binary);
        server.process.Start();
        server.process.BeginOutputReadLine();
        server.process.BeginErrorReadLine();
        await Task.WhenAny(server.ready.Task, server.process.WaitForExitAsync(), Task.Delay(ReadyWithin));
        return server.ready.Task.IsCompleted ? server : throw server.Failure("was not ready");
    }

    public async ValueTask DisposeAsync()
    {
        var endedByItself = process.HasExited;
        if (!endedByItself)
        {
            Process.Start("kill", new[] { "-TERM", process.Id.ToString() }).WaitForExit();
        }
        if (!process.WaitForExit(StoppedWithin))
        {
            process.Kill();
            throw Failure("did not stop in time");
        }
        await process.WaitForExitAsync();
        Directory.Delete(folder, true);
        if (endedByItself || process.ExitCode != 0 || printed.ToString().Contains("panicked at"))
        {
            throw Failure($"ended with status {process.ExitCode}");
        }
    }

    void Printed(string? line)
    {
        lock (printed)
        {
            printed.AppendLine(line);
        }
        if (line?.Trim() == "Ready.")
        {
            ready.TrySetResult();
        }
    }

    string Line(string label)
    {
        lock (printed)
        {
            var found = Regex.Match(printed.ToString(), $"^{label}:\\s+(.+?)\\s*$", RegexOptions.Multiline);
            return found.Success ? found.Groups[1].Value : throw Failure($"printed no line {label}");
        }
    }

    Exception Failure(string what) => new InvalidOperationException($"hubbub dev {what}\n--- what it printed ---\n{printed}");
}
