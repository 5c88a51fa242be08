using System;
using System.Collections.Generic;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;

namespace Hubbub.Sdk;

/// <summary>A TCP proxy in front of the server whose connections can be cut. It knows nothing of what it carries.</summary>
sealed class Proxy : IDisposable
{
    readonly TcpListener listener = new(IPAddress.Loopback, 0);
    readonly HashSet<(Socket Near, Socket Far)> links = new();
    readonly Uri target;
    long budget = long.MaxValue;

    public Proxy(string endpoint)
    {
        target = new Uri(endpoint);
        listener.Start();
        _ = Accept();
    }

    public string Endpoint => $"http://{listener.LocalEndpoint}";

    /// <summary>How many connections it has carried.</summary>
    public int Carried { get; private set; }

    /// <summary>While true, a new connection is reset at once.</summary>
    public volatile bool Refuses;

    /// <summary>Resets all connections at once.</summary>
    public void Cut()
    {
        lock (links)
        {
            foreach (var (near, far) in links)
            {
                Reset(near);
                Reset(far);
            }
            links.Clear();
        }
    }

    /// <summary>Cuts after so many more bytes to the client, as a rule within a frame.</summary>
    public void CutAfter(int bytes) => Interlocked.Exchange(ref budget, bytes);

    public void Dispose()
    {
        listener.Stop();
        Cut();
    }

    async Task Accept()
    {
        while (true)
        {
            Socket near;
            try
            {
                near = await listener.AcceptSocketAsync();
            }
            catch (Exception error) when (error is SocketException or ObjectDisposedException)
            {
                return;
            }
            if (Refuses)
            {
                Reset(near);
                continue;
            }
            var far = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            near.NoDelay = true;
            await far.ConnectAsync(target.Host, target.Port);
            lock (links)
            {
                links.Add((near, far));
                Carried++;
            }
            _ = Carry(near, far, metered: false);
            _ = Carry(far, near, metered: true);
        }
    }

    async Task Carry(Socket from, Socket to, bool metered)
    {
        var piece = new byte[65536];
        try
        {
            int length;
            while ((length = await from.ReceiveAsync(piece)) > 0)
            {
                var allowed = metered ? (int)Math.Min(length, Interlocked.Read(ref budget)) : length;
                await to.SendAsync(piece.AsMemory(0, allowed));
                if (metered && Interlocked.Read(ref budget) != long.MaxValue && Interlocked.Add(ref budget, -length) <= 0)
                {
                    CutAfterwards();
                    return;
                }
            }
            to.Shutdown(SocketShutdown.Send);
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            Reset(from);
            Reset(to);
        }
    }

    void CutAfterwards()
    {
        Interlocked.Exchange(ref budget, long.MaxValue);
        Cut();
    }

    static void Reset(Socket socket)
    {
        try
        {
            socket.LingerState = new LingerOption(true, 0);
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
        }
        socket.Dispose();
    }
}
